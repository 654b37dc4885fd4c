-- /tail: a live stream of what is published, a JSON object a point: as lines, or as events where the request accepts
-- text/event-stream. Parameters: ns, and name, in which each * stands for any characters.

local answer = require("agent.http.answer")
local json = require("agent.json")
local points = require("agent.http.points")

local M = {}

local MAX_CLIENTS = 16
local PIECE = 32 * 1024 -- bytes gathered into one write

-- Whether `name` is what the parts of a pattern, split at its stars, stand for. Without backtracking: whoever asks
-- chooses the pattern.
local function matches(name, parts)
  local first, last = parts[1], parts[#parts]
  if #parts == 1 then return name == first end
  if name:sub(1, #first) ~= first then return false end
  local at = #first + 1
  for i = 2, #parts - 1 do
    local _, to = name:find(parts[i], at, true)
    if not to then return false end
    at = to + 1
  end
  return #name - #last + 1 >= at and name:sub(#name - #last + 1) == last
end

local function parts_of(pattern)
  if not pattern or pattern == "" then return nil end
  local parts = {}
  for part in (pattern .. "*"):gmatch("([^*]*)%*") do parts[#parts + 1] = part end
  return parts
end

local function among(namespaces, ns)
  if not ns or ns == "" then return true end
  for _, one in ipairs(namespaces) do
    if one == ns then return true end
  end
  return false
end

-- Sends the points that are asked for.
local function send(reply, form, head, parts, bodies)
  local out, size = {}, 0
  for _, body in ipairs(bodies) do
    for text, name in points.each(body) do
      if not parts or matches(name, parts) then
        out[#out + 1] = form:format(head, text:sub(2))
        size = size + #text
        if size >= PIECE then
          if not reply:write(table.concat(out)) then return end
          out, size = {}, 0
        end
      end
    end
  end
  if out[1] then reply:write(table.concat(out)) end
end

local function stream(request, reply, feed, gone)
  local events = answer.accepts(request, "text/event-stream")
  local form = events and "data: %s%s\n\n" or "%s%s\n"
  local parts, ns = parts_of(request.query.name), request.query.ns
  local function tail(namespaces, bodies)
    if not among(namespaces, ns) then return end
    local head = '{"ns":' .. json.encode(json.list(ns and ns ~= "" and { ns } or namespaces)) .. ","
    send(reply, form, head, parts, bodies)
  end
  local kind = events and "text/event-stream" or "application/x-ndjson"
  local open = reply:stream(200, { ["Content-Type"] = kind .. "; charset=utf-8", ["Cache-Control"] = "no-store",
    ["X-Content-Type-Options"] = "nosniff" }, function()
    feed:remove(tail)
    gone()
  end)
  if open then feed:add(tail) else gone() end
end

--- Registers the route. deps: feed.
function M.register(router, deps)
  local clients = 0
  router:route("GET", "/tail", function(request, reply)
    if clients >= MAX_CLIENTS then
      return answer.text(request, reply, 503, ("%d clients look on already\n"):format(MAX_CLIENTS),
        { ["Retry-After"] = "10" })
    end
    clients = clients + 1
    return stream(request, reply, deps.feed, function() clients = clients - 1 end)
  end)
end

return M
