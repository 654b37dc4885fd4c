-- A Lua file that returns plain data, evaluated in a worker: a file that hangs, floods or crashes
-- harms nobody. For the configuration and for the registry file of standalone mode.

local M = {}

local deadline_ms = 2000
local limits = { address_space = 512 * 2 ^ 20, cpu_s = 3, core = 0 }

--- The path of `key` below `parent`: agent.listen, output.servers[1], ["web.shop.loda"][2].port.
function M.join(parent, key)
  if type(key) == "number" then return ("%s[%g]"):format(parent, key) end
  key = tostring(key)
  if not key:find("^[%a_][%w_]*$") then return ("%s[%q]"):format(parent, key) end
  return parent == "" and key or parent .. "." .. key
end

-- What the worker is asked for; paths are made absolute because it may run elsewhere.
local function request_for(path, more)
  local uv = require("luv")
  local request = { path = path, open = path, environment = uv.os_environ(), validate = more.validate }
  if path:sub(1, 1) ~= "/" then request.open = uv.cwd() .. "/" .. path end
  return request
end

--- Evaluates `path`; callback(err, result of the worker conf). See load().
function M.evaluate(path, more, callback)
  local client = require("agent.worker.client")
  local ok, request = pcall(request_for, path, more)
  if not ok then return callback({ code = "failed", message = path .. ": " .. request }) end
  client.run("conf", request, { deadline_ms = deadline_ms, limits = limits }, function(err, result)
    if err and err.code == "timeout" then
      err.message = ("%s: takes longer than %g s to evaluate"):format(path, deadline_ms / 1000)
    elseif err then
      err.message = ("%s: %s"):format(path, err.message)
    end
    callback(err, result)
  end)
end

--- Loads the table that the Lua file at `path` returns. Never blocks.
--- callback(err, data, lines): lines maps key paths, as join() writes them, to line numbers where
--- they are known. err: { code = "invalid" | "timeout" | "crashed" | …, message = "FILE:LINE: why",
--- problems = { { key =, line = | nil, message = } … } | nil }.
function M.load(path, callback)
  M.evaluate(path, {}, function(err, result)
    if err then return callback(err) end
    if result.data then return callback(nil, result.data, result.lines) end
    local first = result.problems[1]
    local where = require("agent.config").where(path, first)
    callback({ code = "invalid", problems = result.problems, message = where .. ": " .. first.message })
  end)
end

return M
