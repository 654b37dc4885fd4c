-- /update: read the configuration and ask the registry now.

local answer = require("agent.http.answer")
local json = require("agent.json")

local M = {}

local function diff_text(err, change)
  change = change or {}
  local diff = { error = err and err.message, code = err and err.code,
    seconds = change.seconds and math.floor(change.seconds * 1e6 + 0.5) / 1e6 }
  for _, name in ipairs({ "added", "changed", "removed", "refused", "errors", "applied", "restart" }) do
    diff[name] = json.list(change[name] or {})
  end
  diff.builtins = change.builtins
  return json.encode(diff)
end

--- Registers the route. update(callback): callback(err, change) once, when what the registry said is applied.
--- The text is the contract's, whatever happened; with Accept: application/json it is the diff, and 502 when
--- the registry gave no answer.
function M.register(router, methods, deps)
  router:route(methods, "/update", function(request, reply)
    deps.update(function(err, change)
      if answer.wants_json(request) then
        return answer.json(reply, err and 502 or 200, diff_text(err, change))
      end
      return answer.text(request, reply, 200, "collect items updated\n")
    end)
  end)
end

return M
