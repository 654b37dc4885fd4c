-- Starts a worker: the agent's own executable as `agent worker NAME`, a process that does one dangerous
-- thing and is thrown away. The module agent.worker.NAME, a function(request, emit, receive) → result,
-- runs in there and may block; here nothing does.
--
-- Each frame from the worker is one letter and a string.buffer encoding: i an item, r the result,
-- e the error { message =, traceback =, detail = }.
local exec = require("host.exec")
local buffer = require("string.buffer")

local M = {}

local DEADLINE_MS, GRACE_MS, MAX_STDERR = 10000, 200, 16384
local LIMITS = { address_space = 512 * 1024 * 1024, cpu_s = 10, core = 0 }
-- What of our own environment a worker may need: where its code, its proxies and its certificates are.
local INHERITED = {
  "AGENT_LUA_PATH", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
  "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS",
}

local function environment()
  local env = { PATH = "/usr/sbin:/usr/bin:/sbin:/bin" }
  for _, name in ipairs(INHERITED) do env[name] = os.getenv(name) end
  return env
end

local function limits_with(own)
  local limits = {}
  for name, value in pairs(LIMITS) do limits[name] = value end
  for name, value in pairs(own or {}) do limits[name] = value or nil end
  return limits
end

local function failure(code, name, why, more)
  local err = more or {}
  err.code, err.message = code, ("worker %s: %s"):format(name, why)
  return err
end

local function last_line(text)
  return text:match("([^\n]+)\n*$")
end

-- What a worker said on stderr belongs in our log.
local function pass_on(name, text)
  if text == "" then return end
  local log = require("host.log")
  for line in text:gmatch("[^\n]+") do log.warning("worker", line, { worker = name }) end
end

local function how_it_ended(name, answer, result)
  if result.timed_out then
    return failure("timeout", name, result.stuck and "no answer in time, and KILL does not end it"
      or "no answer in time", { stuck = result.stuck })
  end
  if result.error then return failure("spawn", name, "cannot start: " .. result.error.message) end
  if answer.err then
    return failure("failed", name, answer.err.message,
      { traceback = answer.err.traceback, detail = answer.err.detail })
  end
  if answer.done then return nil, answer.result end
  local why = result.bad_frame and "broke the protocol"
    or result.signal ~= 0 and ("killed by signal %d"):format(result.signal)
    or ("ended with status %d without a result"):format(result.code)
  local said = last_line(result.stderr)
  return failure("crashed", name, said and why .. ": " .. said or why, { stderr = result.stderr })
end

local function take_frame(answer, frame, on_item)
  local kind, value = frame:sub(1, 1), buffer.decode(frame:sub(2))
  if kind == "i" then
    if on_item then on_item(value) end
  elseif kind == "r" then
    answer.done, answer.result = true, value
  elseif kind == "e" then
    answer.err = value
  end
end

---@class agent.worker.handle
local Handle = {}
Handle.__index = Handle

--- Ends the worker now; the callback still comes.
function Handle:kill() self.child:kill("KILL") end

--- nil: not started yet.
function Handle:pid() return self.child:pid() end

--- Hands the worker one more value, which its `receive()` returns. true | nil, message, CODE
function Handle:send(value) return self.child:send(buffer.encode(value)) end

--- Its `receive()` returns nil after this.
function Handle:end_send() self.child:end_send() end

--- Runs the worker `name` with `request` (any plain value). Does not block.
--- options: deadline_ms (10000; 0: long-lived), limits (see host.exec; over 512 MiB of address space and
---   10 s of CPU, false: no such limit), user, net_raw (see host.exec), on_item(value) for each value that it emits,
---   on_gone() after a stuck worker has ended.
--- callback(err, result), once, after the worker's end. err.code: "timeout" (err.stuck: KILL did not end
---   it), "crashed" (err.stderr: what it said), "failed" (the module raised: err.traceback, err.detail = what
---   it raised, if a table), "spawn" (it could not be started; where that shows at once, run returns nil, and
---   has called back already).
---@return agent.worker.handle|nil
function M.run(name, request, options, callback)
  assert(type(name) == "string" and name:find("^[a-z_]+$"), "a worker's name is lower case letters")
  options = options or {}
  local answer = {}
  local child, why = exec.run({
    path = "/proc/self/exe", -- also when the file was replaced meanwhile
    argv = { "agent", "worker", name },
    env = environment(),
    channel = true,
    deadline_ms = options.deadline_ms or DEADLINE_MS,
    grace_ms = GRACE_MS,
    max_output = MAX_STDERR,
    limits = limits_with(options.limits),
    user = options.user,
    net_raw = options.net_raw,
    on_frame = function(frame) take_frame(answer, frame, options.on_item) end,
    on_gone = options.on_gone,
  }, function(result)
    pass_on(name, result.stderr)
    callback(how_it_ended(name, answer, result))
  end)
  if not child then
    callback(failure("spawn", name, why))
    return nil
  end
  child:send(buffer.encode(request))
  return setmetatable({ child = child }, Handle)
end

return M
