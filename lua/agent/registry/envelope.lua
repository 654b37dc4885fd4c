-- What the registry answers: { "httpstatus":, "data":, "msg": } (contracts.md §1), checked and made plain.

local bit = require("bit")
local namespace = require("agent.namespace")

local M = {}

local MOST_NAMESPACES, MOST_ITEMS, MOST_FIELDS, LONGEST = 200, 10000, 100, 16384

local function decoder()
  local json = require("cjson").new()
  json.decode_invalid_numbers(false)
  return json
end

-- Foreign text in a message: short, and on one line.
local function brief(text)
  return (text:sub(1, 200):gsub("%c", " "))
end

local function refused(status, envelope)
  local message = type(envelope) == "table" and envelope.msg
  if type(message) == "string" and message ~= "" then
    return ("status %d: %s"):format(status, brief(message)), message
  end
  return ("status %d"):format(status)
end

--- The `data` of an answer, which may be cjson.null; or nil, why, the envelope's own message.
function M.open(status, body)
  local json = decoder()
  local ok, envelope = pcall(json.decode, body)
  if status ~= 200 then return nil, refused(status, ok and envelope) end
  if not ok then return nil, "not JSON: " .. brief(envelope) end
  if type(envelope) ~= "table" then return nil, "not an envelope but a " .. type(envelope) end
  if envelope.data == nil then return nil, "not an envelope: it has no data" end
  return envelope.data
end

local function is_null(value)
  return type(value) == "userdata"
end

--- data of POST /api/v1/agent/ns → { [ns] = id }, { [ns] = why it can't be one }; or nil, why.
function M.namespaces(data)
  local ids, wrong, count = {}, {}, 0
  if is_null(data) then return ids, wrong end
  if type(data) ~= "table" then return nil, "data is a " .. type(data) .. ", not an object of namespaces" end
  for ns, id in pairs(data) do
    count = count + 1
    if type(ns) ~= "string" then return nil, "data is an array, not an object of namespaces" end
    if type(id) ~= "string" then
      return nil, ("the id of %s is a %s, not a string"):format(brief(ns), is_null(id) and "null" or type(id))
    end
    if namespace.valid(ns) then
      ids[ns] = id
    else
      wrong[brief(ns)] = "no valid namespace: 1 to 56 of A-Z a-z 0-9 . _ -"
    end
  end
  if count > MOST_NAMESPACES then return nil, ("%d namespaces, more than %d"):format(count, MOST_NAMESPACES) end
  return ids, wrong
end

-- Values that no item can have become {}, so that who checks items refuses this one by the field's name.
local function plain(value)
  if is_null(value) then return "" end -- as the Go agent decoded it
  if type(value) == "table" or type(value) == "string" and #value > LONGEST then return {} end
  return value
end

local function plain_item(item)
  if type(item) ~= "table" then return is_null(item) and "null" or plain(item) end
  local copy, count = {}, 0
  for key, value in pairs(item) do
    count = count + 1
    if count > MOST_FIELDS then return "an item of more than 100 fields" end
    copy[type(key) == "string" and brief(key) or key] = plain(value)
  end
  return copy
end

--- data of GET /api/v1/agent/resource → a list of items; or nil, why. null and [] are empty lists. What is
--- wrong with one item is left to who checks items: it stays in its place, as something no item can be.
function M.items(data)
  if is_null(data) then return {} end
  if type(data) ~= "table" then return nil, "data is a " .. type(data) .. ", not an array of items" end
  if data[1] == nil and next(data) ~= nil then return nil, "data is an object, not an array of items" end
  if #data > MOST_ITEMS then return nil, ("%d items, more than %d"):format(#data, MOST_ITEMS) end
  local items = {}
  for i, item in ipairs(data) do items[i] = plain_item(item) end
  return items
end

--- FNV-1a over 64 bits: whether an answer is the same as last time.
function M.digest(body)
  local hash = 0xcbf29ce484222325ULL
  for i = 1, #body do
    hash = bit.bxor(hash, body:byte(i)) * 0x100000001b3ULL
  end
  return bit.tohex(hash, 16)
end

return M
