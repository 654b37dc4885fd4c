-- /me/…: what this agent is and does. JSON always.

local answer = require("agent.http.answer")
local json = require("agent.json")

local M = {}

--- Registers the routes. status() → table, namespaces() → array of names, traffic() → the metrics of the
--- last NET collection or nil.
function M.register(router, methods, deps)
  router:route(methods, "/me/status", function(_, reply)
    local status = {}
    for key, value in pairs(deps.status()) do status[key] = value end
    status.namespaces = json.list(deps.namespaces())
    return answer.json(reply, 200, json.encode(status))
  end, "read", true)

  router:route(methods, "/me/ns", function(_, reply)
    return answer.json(reply, 200, json.encode(json.list(deps.namespaces())))
  end, "read", true)

  -- As from the Go agent: the timestamp is always 0, and before the second collection there is null.
  router:route(methods, "/me/traffic", function(_, reply)
    local metrics = deps.traffic and deps.traffic()
    if not metrics then return answer.json(reply, 200, "null") end
    local list = {}
    for i, metric in ipairs(metrics) do
      list[i] = { name = metric.name, timestamp = 0, tags = metric.tags, value = metric.value }
    end
    return answer.json(reply, 200, json.encode(json.list(list)))
  end, "read", true)
end

return M
