-- The two forms of an answer: text, as scripts expect it, or JSON for whoever asks for it.

local json = require("agent.json")

local M = {}

local TEXT = "text/plain; charset=utf-8"
local JSON = "application/json; charset=utf-8"

--- Whether the request accepts application/json.
function M.wants_json(request)
  local accept = request.headers.accept
  return accept ~= nil and accept:lower():find("application/json", 1, true) ~= nil
end

local function with_type(headers, kind)
  local all = { ["Content-Type"] = kind, ["X-Content-Type-Options"] = "nosniff" }
  for name, value in pairs(headers or {}) do all[name] = value end
  return all
end

--- Answers with a JSON text.
function M.json(reply, status, text)
  return reply:send(status, with_type(nil, JSON), text)
end

--- Answers with a text, byte for byte; as {"msg": text} where the request accepts application/json.
---@param headers? table<string, string> more of them
function M.text(request, reply, status, text, headers)
  if M.wants_json(request) then
    local body = json.encode({ msg = (text:gsub("\n$", "")) })
    return reply:send(status, with_type(headers, JSON), body)
  end
  return reply:send(status, with_type(headers, TEXT), text)
end

return M
