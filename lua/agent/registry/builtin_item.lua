-- Items of types GOPLUGIN, BUILTIN and LUA (contracts.md §1.2.2): a builtin function by name, with parameters; LOG
-- items are the function logwatch.

local M = {}

local LARGEST = 65536 -- bytes of params

-- `params` stays as it is, text or table: the builtin worker reads it.
local function read_params(params, text_of)
  if params == nil or type(params) == "table" then return params end
  local text = text_of(params)
  if #text > LARGEST then return nil, "params: more than 64 KiB" end
  if text == "" then return nil end
  if not text:find("^[{%[]") then return nil, ("params: %q is no JSON object"):format(text:sub(1, 40)) end
  return text
end

-- tag_code = "HTTP/1.1\" (%d+)" for each name in tags = "code,method".
local function tag_patterns(item, text_of)
  local tags
  for name in text_of(item.tags):gmatch("[^,%s]+") do
    local pattern = text_of(item["tag_" .. name])
    if pattern ~= "" then
      tags = tags or {}
      tags[name] = pattern
    end
  end
  return tags
end

local function log_params(item, text_of)
  local path = text_of(item.file_path)
  local params = { file_path = path, pattern = text_of(item.pattern), tags = tag_patterns(item, text_of) }
  if path:sub(1, 1) ~= "/" then return nil, ("file_path: %q is no absolute path"):format(path) end
  if params.pattern == "" then return nil, "pattern is missing" end
  for _, key in ipairs({ "func", "time_format", "degree", "collect_type" }) do
    local text = text_of(item[key])
    if text ~= "" then params[key] = text end
  end
  return params
end

local function read_timeout(text)
  if text == "" then return nil end
  local n = tonumber(text)
  if not n or not (n >= 1 and n <= 3600) then return nil, ("timeout: %q is not 1 to 3600 seconds"):format(text) end
  return n
end

--- Completes `record` (name, interval or nil: the function's own) from a raw item. text_of(value) gives the trimmed
--- text of any of its values. Record: type "BUILTIN", run (name of the function), params (table or JSON text), timeout.
function M.complete(record, item, text_of)
  local why
  record.type = "BUILTIN"
  if text_of(item.measurement_type) == "LOG" then
    record.run = "logwatch"
    record.params, why = log_params(item, text_of)
  else
    local name = text_of(item.builtin)
    record.run = name ~= "" and name or record.name:gsub("^PLUGIN%.", "")
    record.params, why = read_params(item.params, text_of)
  end
  if why then return nil, why end
  record.timeout, why = read_timeout(text_of(item.timeout))
  if why then return nil, why end
  return record
end

return M
