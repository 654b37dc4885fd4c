-- Metrics into the bytes that the router reads (contracts.md §2). The points array of a batch is
-- encoded once; the message of each namespace is `head(ns) .. body`, so twenty namespaces cost one encoding.

local namespace = require("agent.namespace")
local new_buffer = require("string.buffer").new

local M = {}

local EXACT = 2 ^ 53
local TAIL = '],"precision":"s"}'

--- nsqd refuses messages over 1 MiB (contracts.md §6.1); the head of the longest topic needs < 256 bytes.
M.MAX_BODY = 1024 * 1024 - 256

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c)
  return escapes[c] or ("\\u%04x"):format(c:byte())
end

-- The well-formed sequences of RFC 3629 by their first byte: { from, to, "pattern of the rest" }.
local sequences = {
  { 0xC2, 0xDF, "^[\128-\191]" },
  { 0xE0, 0xE0, "^[\160-\191][\128-\191]" },
  { 0xE1, 0xEC, "^[\128-\191][\128-\191]" },
  { 0xED, 0xED, "^[\128-\159][\128-\191]" },
  { 0xEE, 0xEF, "^[\128-\191][\128-\191]" },
  { 0xF0, 0xF0, "^[\144-\191][\128-\191][\128-\191]" },
  { 0xF1, 0xF3, "^[\128-\191][\128-\191][\128-\191]" },
  { 0xF4, 0xF4, "^[\128-\143][\128-\191][\128-\191]" },
}

local function sequence_end(s, at)
  local first = s:byte(at)
  for _, kind in ipairs(sequences) do
    if first >= kind[1] and first <= kind[2] then
      local _, last = s:find(kind[3], at + 1)
      return last
    end
  end
end

-- JSON is UTF-8: what isn't becomes U+FFFD, as Go's decoder would make it at the other end.
local function valid_utf8(s)
  local out, from, at = {}, 1, s:find("[\128-\255]")
  while at do
    local last = sequence_end(s, at)
    if not last then
      out[#out + 1] = s:sub(from, at - 1) .. "\239\191\189"
      from = at + 1
    end
    at = s:find("[\128-\255]", (last or at) + 1)
  end
  out[#out + 1] = s:sub(from)
  return table.concat(out)
end

--- A string as JSON, quotes included.
function M.json_string(s)
  if s:find('[%c"\\\128-\255]') then -- seldom, and one look is cheaper than two
    if s:find("[\128-\255]") then s = valid_utf8(s) end
    s = s:gsub('[%c"\\]', escape)
  end
  return '"' .. s .. '"'
end
local json_string = M.json_string

--- A number as JSON: integers exact to 2^53, others by the shortest form that reads back equal.
--- NaN and the infinities have none: nil.
function M.json_number(n)
  if n % 1 == 0 and n <= EXACT and n >= -EXACT then return ("%d"):format(n) end
  if n ~= n or n == math.huge or n == -math.huge then return nil end
  local short = ("%.15g"):format(n)
  return tonumber(short) == n and short or ("%.17g"):format(n)
end
local json_number = M.json_number

-- The value as JSON, or nil and the reason why the point is dropped.
local function json_value(value)
  local kind = type(value)
  if kind == "number" then
    local text = json_number(value)
    return text, not text and "not_finite" or nil
  elseif kind == "string" then
    return json_string(value)
  elseif kind == "boolean" then
    return value and "true" or "false"
  end
  return nil, (kind == "nil" or kind == "userdata") and "null" or "bad_type"
end

-- contracts.md §2.3: trimmed, then each space becomes `-`; nothing else is touched.
local function tag_value(value)
  if type(value) == "number" then return json_number(value) end
  if type(value) ~= "string" then return nil end
  if value:find("%s") then value = value:match("^%s*(.-)%s*$"):gsub(" ", "-") end
  return value
end

-- The host first, then the others; false when one is empty: the router would skip the point.
local function put_tags(out, tags, default_host)
  local host = tags and tags.host and tag_value(tags.host) or ""
  out:put('"host":', host ~= "" and json_string(host) or default_host)
  for key, value in pairs(tags or {}) do
    if key ~= "host" then
      local text = tag_value(value)
      if type(key) ~= "string" or key == "" or not text or text == "" then return false end
      out:put(",", json_string(key), ":", json_string(text))
    end
  end
  return true
end

-- One point, or nil and why not. `out` is scratch.
local function encode_point(out, metric, default_host, now)
  local value, why = json_value(metric.value)
  if not value then return nil, why end
  local name, at = metric.name, metric.timestamp
  if type(name) ~= "string" or name == "" then return nil, "no_name" end
  if type(at) == "number" and at >= 1e9 and at <= 1e10 then
    at = ("%d"):format(at)
  else
    at = now
  end
  out:put('{"measurement":', json_string(name), ',"timestamp":', at, ',"tags":{')
  if not put_tags(out, metric.tags, default_host) then return nil, "empty_tag" end
  out:put('},"fields":{"value":', value, "}}")
  return out:get()
end

--- Encodes a batch. `host` is the host tag of points that have none, `now` the unix time of those
--- without a timestamp in seconds. Returns the bodies (arrays no longer than `max` bytes; none when no
--- point is left) and the points dropped by reason: not_finite, null, bad_type, no_name, empty_tag,
--- too_big (nil when none was).
---@param metrics table[] {name, value, tags?, timestamp?}
---@param host string
---@param now number unix seconds
---@param max? integer bytes, default M.MAX_BODY
---@return string[] bodies, table<string, integer>? dropped
function M.encode(metrics, host, now, max)
  max = (max or M.MAX_BODY) - #TAIL
  local default_host, second = json_string(host), ("%d"):format(now)
  local bodies, dropped = {}, nil
  local body, scratch = new_buffer(), new_buffer()
  for i = 1, #metrics do
    local text, why = encode_point(scratch, metrics[i], default_host, second)
    if text and #text + 1 > max then text, why = nil, "too_big" end
    if text then
      if #body + #text + 1 > max then bodies[#bodies + 1] = body:put(TAIL):get() end
      body:put(#body == 0 and "[" or ",", text)
    else
      dropped = dropped or {}
      dropped[why] = (dropped[why] or 0) + 1
      scratch:reset()
    end
  end
  if #body > 0 then bodies[#bodies + 1] = body:put(TAIL):get() end
  return bodies, dropped
end

--- A reader of the body of a POST /post in JSON, with :encode(bodies, count) as of host.metrics: it gives what
--- M.encode() makes of the same metrics, much faster for most. dropped(reason) is called for each point left out.
---@param body string
---@param host string
---@param now number unix seconds
---@param dropped fun(reason: string)
---@param max? integer bytes, default M.MAX_BODY
---@return host.metrics.reader
function M.reader(body, host, now, dropped, max)
  local default_host, second, scratch = json_string(host), ("%d"):format(now), nil
  max = max or M.MAX_BODY
  return require("host.metrics").reader(body, { points = { host = default_host, now = second, max = max,
    encode = function(metric)
      scratch = scratch or new_buffer()
      local text, why = encode_point(scratch, metric, default_host, second)
      if text and #text + 1 > max - #TAIL then text, why = nil, "too_big" end
      if text then return text end
      scratch:reset()
      dropped(why)
    end } })
end

--- What stands before the body in a namespace's message.
function M.head(ns)
  return '{"database":' .. json_string(namespace.topic(ns)) .. ',"retentionPolicy":"default","points":'
end

return M
