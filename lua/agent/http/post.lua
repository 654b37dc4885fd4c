-- POST /post: metrics of other programs on this host (contracts.md §4). All of a request or nothing.

local answer = require("agent.http.answer")
local metrics = require("host.metrics")
local namespace = require("agent.namespace")

local M = {}

--- Bytes of a body; the server's own limit is above it.
M.MAX_BODY = 2 * 1024 * 1024

-- Entries read in one turn of the loop: about a millisecond.
local SLICE = 1000

local BAD_NAME = "invalid metric name, just allow 0-9 a-z A-Z - _ ."

-- The namespace asked for, or the only one there is; nil where that isn't one.
local function target(query, namespaces)
  local ns = query.ns
  if not ns or ns == "" then
    local all = namespaces()
    ns = #all == 1 and all[1] or nil
  end
  return namespace.valid(ns) and ns or nil
end

-- Reads the body slice by slice, with other work of the loop in between; done(list) or done(nil, why, code).
local function read_all(body, later, done)
  local reader, list = metrics.reader(body), {}
  local function read_on()
    local more, why, code = reader:read(list, SLICE)
    if more == nil then return done(nil, why, code) end
    if more then return later(read_on) end
    return done(list)
  end
  return read_on()
end

local function say(request, reply, err)
  if not err then return answer.text(request, reply, 200, "send data to MQ success\n") end
  if err.code == "full" then
    return answer.text(request, reply, 500, "queue is full, discard message")
  end
  return answer.text(request, reply, 503, tostring(err.message) .. "\n", { ["Retry-After"] = "5" })
end

--- Registers the route. deps: namespaces() → array of names; emit(ns, metrics, done), done(err) once: nil when
--- they are safe, err.code "full" when there is no room; later(fn): calls fn in the next turn of the loop.
function M.register(router, methods, deps)
  router:route(methods, "/post", function(request, reply)
    local ns = target(request.query, deps.namespaces)
    if not ns then return answer.text(request, reply, 500, "invalid ns\n") end
    if #request.body > M.MAX_BODY then
      return answer.text(request, reply, 413, ("body over %d bytes\n"):format(M.MAX_BODY))
    end
    return read_all(request.body, deps.later, function(list, why, code)
      if code == "ENAME" then return answer.text(request, reply, 400, BAD_NAME) end
      if not list then return answer.text(request, reply, 500, "failed to decode json:" .. why .. "\n") end
      if #list == 0 then return say(request, reply) end
      return deps.emit(ns, list, function(err) say(request, reply, err) end)
    end)
  end)
end

return M
