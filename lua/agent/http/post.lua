-- POST /post: metrics of other programs on this host (contracts.md §4), as JSON, or by Content-Type as InfluxDB's line
-- protocol or Prometheus text. All of a request or nothing.

local answer = require("agent.http.answer")
local namespace = require("agent.namespace")

local M = {}

-- Entries read and encoded in one turn of the loop: a few milliseconds.
local SLICE = 1000

-- Bytes of a body from which on it is worth it to clean up behind it.
local LARGE = 64 * 1024

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

-- What clients send these formats as; curl and old scripts say anything at all, and mean JSON.
local function format_of(kind)
  kind = (kind or ""):lower()
  if kind:find("line-protocol", 1, true) then return "line" end
  if kind:find("^application/openmetrics%-text") then return "prometheus" end
  if kind:find("^text/plain") then return kind:find("version=0%.0%.4") and "prometheus" or "line" end
  return "json"
end

-- Another format's reader, with encode() as that of JSON has it.
local function other_reader(format, body, deps)
  local reader = require("agent.formats." .. format).reader(body, { prefix = "RUN." })
  return { encode = function(_, bodies, count)
    local list = {}
    local more, why, code = reader:read(list, count)
    for _, encoded in ipairs(more ~= nil and deps.encode(list) or {}) do bodies[#bodies + 1] = encoded end
    if more == false then deps.dropped("not_finite", reader.dropped or 0) end
    return more, why, code
  end }
end

local function reader_of(request, deps)
  local format, body = format_of(request.headers["content-type"]), request.body
  if format == "json" or body:find("^%s*%[") then return deps.reader(body) end
  return other_reader(format, body, deps)
end

-- Reads and encodes the body slice by slice, with other work of the loop in between: done(bodies), or
-- done(nil, why, code).
local function read_all(request, deps, done)
  local reader, bodies = reader_of(request, deps), {}
  local function read_on()
    local more, why, code = reader:encode(bodies, SLICE)
    if more then return deps.later(read_on) end
    if more == nil then return done(nil, why, code) end
    return done(bodies)
  end
  return read_on()
end

-- Large posts leave garbage behind, and what the agent makes otherwise is so little
-- that the collector would be hours in noticing: two rounds of it, bit by bit.
local function tidy(later)
  local rounds = 2
  local function bit_by_bit()
    if collectgarbage("step", 64) then rounds = rounds - 1 end
    if rounds > 0 then later(bit_by_bit) end
  end
  later(bit_by_bit)
end

-- A reply that cleans up once it is sent.
local function tidying(reply, later)
  return { send = function(_, ...)
    tidy(later)
    return reply:send(...)
  end }
end

-- In JSON mode a client's mistake is a 4xx.
local function bad_request(request, reply, text)
  return answer.text(request, reply, 500, text, nil, 400)
end

-- Which entry it is and why: said in JSON, where the contract's text has no room for it.
local function refuse(request, reply, why, code)
  if code == "ENAME" then return answer.text(request, reply, 400, BAD_NAME, nil, nil, { reason = why }) end
  if code == "EFORMAT" then return answer.text(request, reply, 400, why .. "\n") end
  return bad_request(request, reply, "failed to decode json:" .. why .. "\n")
end

local function say(request, reply, err)
  if not err then return answer.text(request, reply, 200, "send data to MQ success\n") end
  local text = err.code == "full" and "queue is full, discard message" or tostring(err.message) .. "\n"
  return answer.text(request, reply, 503, text, { ["Retry-After"] = "5" })
end

--- Registers the route. deps: namespaces() → array of names; encode(metrics) → bodies of messages; reader(JSON) →
--- what reads and encodes that, see publish/points.lua; dropped(reason, count): counts points that have no value to
--- send (NaN and infinities of Prometheus text); publish(ns, bodies, done), all or none, done(err) once: nil when they
--- are safe, err.code "full" when there is no room; conf.maxpost (bytes); later(fn): calls fn in the next turn of the
--- loop.
function M.register(router, methods, deps)
  router:route(methods, "/post", function(request, reply)
    local ns = target(request.query, deps.namespaces)
    if not ns then return bad_request(request, reply, "invalid ns\n") end
    if #request.body > deps.conf.maxpost then
      return answer.text(request, reply, 413, ("body over %d bytes\n"):format(deps.conf.maxpost))
    end
    if #request.body > LARGE then reply = tidying(reply, deps.later) end
    return read_all(request, deps, function(bodies, why, code)
      if not bodies then return refuse(request, reply, why, code) end
      if #bodies == 0 then return say(request, reply) end
      return deps.publish(ns, bodies, function(err) say(request, reply, err) end)
    end)
  end, "post")
end

return M
