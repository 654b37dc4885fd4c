-- Which handler a request goes to: by its exact path, then by its method.

local answer = require("agent.http.answer")

local M = {}
M.__index = M

function M.new()
  return setmetatable({ routes = {} }, M)
end

--- `methods`: names with spaces between. handler(request, reply) answers at once or later. Returns the router.
---@param methods string
---@param path string
---@param handler fun(request: host.http.request, reply: host.http.reply)
function M:route(methods, path, handler)
  local route = self.routes[path] or { methods = {}, allow = {} }
  for method in methods:gmatch("%S+") do
    assert(not route.methods[method], "two handlers for one method and path")
    route.methods[method] = handler
    table.insert(route.allow, method)
  end
  self.routes[path] = route
  return self
end

--- Gives the request to its handler, or answers 404 or 405.
function M:handle(request, reply)
  local route = self.routes[request.path]
  if not route then return answer.text(request, reply, 404, "404 page not found\n") end
  local handler = route.methods[request.method]
  if not handler then
    local allow = table.concat(route.allow, ", ")
    return answer.text(request, reply, 405, "method not allowed; use " .. allow .. "\n", { Allow = allow })
  end
  return handler(request, reply)
end

return M
