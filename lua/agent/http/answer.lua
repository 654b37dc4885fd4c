-- The two forms of an answer: text, as scripts expect it, or JSON for whoever asks for it.

local json = require("agent.json")

local M = {}

local TEXT = "text/plain; charset=utf-8"
local JSON = "application/json; charset=utf-8"

--- Whether the request accepts the media type (in lower case, without parameters).
function M.accepts(request, kind)
  local accept = request.headers.accept
  return accept ~= nil and accept:lower():find(kind, 1, true) ~= nil
end

--- Whether the request accepts application/json.
function M.wants_json(request)
  return M.accepts(request, "application/json")
end

-- Most answers have no others.
local plain = {
  [TEXT] = { ["Content-Type"] = TEXT, ["X-Content-Type-Options"] = "nosniff" },
  [JSON] = { ["Content-Type"] = JSON, ["X-Content-Type-Options"] = "nosniff" },
}

local function with_type(headers, kind)
  if not headers then return plain[kind] end
  local all = { ["Content-Type"] = kind, ["X-Content-Type-Options"] = "nosniff" }
  for name, value in pairs(headers) do all[name] = value end
  return all
end

--- Answers with a JSON text.
---@param headers? table<string, string> more of them
function M.json(reply, status, text, headers)
  return reply:send(status, with_type(headers, JSON), text)
end

--- Answers with a text, byte for byte; as {"msg": text} where the request accepts application/json.
---@param headers? table<string, string> more of them
---@param right? integer the status in JSON, where the contract's text has another than is right
---@param more? table further members of the JSON object
function M.text(request, reply, status, text, headers, right, more)
  if M.wants_json(request) then
    local object = { msg = (text:gsub("\n$", "")) }
    for name, value in pairs(more or {}) do object[name] = value end
    return M.json(reply, right or status, json.encode(object), headers)
  end
  return reply:send(status, with_type(headers, TEXT), text)
end

return M
