-- /update: ask the registry now.

local answer = require("agent.http.answer")

local M = {}

--- Registers the route. update(callback): callback(err) once, when what the registry said is applied.
function M.register(router, methods, deps)
  router:route(methods, "/update", function(request, reply)
    deps.update(function(err)
      if err then
        return answer.text(request, reply, 500, "update failed: " .. tostring(err.message) .. "\n")
      end
      return answer.text(request, reply, 200, "collect items updated\n")
    end)
  end)
end

return M
