-- Whether the agent collects and delivers: as it says itself (/healthz), else as its status shows.

local text = require("agent.console.text")

local M = {}

local OLD_ANSWER = 600 -- seconds: a registry that is asked each minute

local function about_registry(registry, add)
  local age = text.number(registry.age)
  if not registry.last_error then return end
  if not age then
    add("the registry has never answered: " .. tostring(registry.last_error))
  elseif age > OLD_ANSWER then
    add(("the registry's answer is %s old: %s"):format(text.duration(age), tostring(registry.last_error)))
  end
end

--- What is known of the outputs: { { output = {…}, outbox = {…}, spool = {…} | nil, required } … }.
function M.outputs(status)
  if type(status.outputs) == "table" and status.outputs[1] then return status.outputs end
  return { { output = status.output or {}, outbox = status.outbox or {}, spool = status.spool, required = true } }
end

local function reason_of(last_error)
  if type(last_error) == "table" then return tostring(last_error.message or last_error.code) end
  return tostring(last_error)
end
M.reason_of = reason_of

local function about_output(one, add)
  local output = one.output or {}
  local name = one.name or output.name or output.server or "output"
  if one.required == false then return end
  local stuck = output.state and output.state ~= "connected" or (not output.state and output.last_error)
  if not stuck then return end
  local why = output.last_error and ": " .. reason_of(output.last_error) or ""
  add(("%s: %s%s"):format(name, output.state and "not connected" or "does not write", why))
end

--- Judges by a status (of /me/status): { healthy = bool, reasons = { sentence … } }.
function M.derive(status)
  local reasons = {}
  local function add(reason) reasons[#reasons + 1] = reason end
  if not (status.namespaces or {})[1] then add("this machine is in no namespace: nothing is published") end
  about_registry(status.registry or {}, add)
  for _, one in ipairs(M.outputs(status)) do about_output(one, add) end
  return { healthy = reasons[1] == nil, reasons = reasons }
end

local function sentence(reason)
  if type(reason) ~= "table" then return tostring(reason) end
  return tostring(reason.message or reason.reason or reason.code or "no reason given")
end

--- The answer of /healthz (status and decoded body) in the same form, or nil when that isn't one.
function M.told(code, body)
  if code ~= 200 and code ~= 503 then return nil end
  local reasons = {}
  for _, reason in ipairs(type(body) == "table" and type(body.reasons) == "table" and body.reasons or {}) do
    reasons[#reasons + 1] = sentence(reason)
  end
  return { healthy = code == 200, reasons = reasons }
end

return M
