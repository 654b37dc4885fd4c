-- What a builtin function is handed beside its parameters; documented in lua/agent/_meta/ctx.lua.

local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local LINES = 50 -- log records of one run

-- Functions are shared by all runs; the one that runs just now is the one that calls.
local shared = {}

function shared.http(request) return require("agent.worker.builtin.web").request(request) end
function shared.tcp(host, port, options) return require("agent.worker.builtin.tcp").open(host, port, options) end
function shared.udp(host, port, options) return require("agent.worker.builtin.udp").open(host, port, options) end
function shared.ping(host, options)
  if type(host) == "table" then return require("agent.worker.builtin.echo").ask_all(host, options) end
  if type(host) ~= "string" then error("ping: a host is a string, several are a list of addresses", 2) end
  return require("agent.worker.builtin.echo").ask(host, options)
end
function shared.exec(options) return require("agent.worker.builtin.program").run(options) end
function shared.read_file(path, most, offset)
  return require("agent.worker.builtin.read").file(path, most, offset)
end
function shared.open(path) return require("agent.worker.builtin.read").open(path) end
function shared.stat(path) return require("agent.worker.builtin.read").stat(path) end
function shared.list(path) return require("agent.worker.builtin.read").list(path) end

--- A regular expression, see lua/agent/_meta/regex.lua.
function shared.regex(pattern)
  if type(pattern) ~= "string" then error("regex: an expression is a string", 2) end
  return require("host.regex").new(pattern)
end

--- The addresses of a host name.
function shared.resolve(name, options)
  if type(name) ~= "string" then error("resolve: a name is a string", 2) end
  return require("agent.worker.builtin.resolve").addresses(name, options and options.timeout or 5)
end

function shared.sleep(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then error("sleep: seconds, from 0 on", 2) end
  local owner = run.current()
  if seconds >= run.deadline(owner) - run.now() then seconds = nil end
  run.await("time to pass", seconds, function() end)
end

function shared.now()
  local seconds, micro = uv.gettimeofday()
  return seconds + micro / 1e6
end

function shared.mono() return run.now() end

--- Seconds that are left.
function shared.deadline()
  local owner = run.current()
  return math.max(0, run.deadline(owner) - run.now())
end

--- Per second since the run before; nil the first time, after a reset of the counter, and too soon after.
function shared.rate(key, counter)
  local owner = run.current()
  local now, rates = run.now(), owner.item.rates
  if type(counter) ~= "number" or counter ~= counter then return nil end
  local seen = owner.rates[key]
  if seen then error(("rate: %q was asked for in this run already"):format(tostring(key)), 2) end
  owner.rates[key] = { counter, now }
  local before = rates[key]
  if not before or counter < before[1] then return nil end
  local seconds = now - before[2]
  if seconds < 0.1 then
    owner.rates[key] = before
    return nil
  end
  return (counter - before[1]) / seconds
end

local levels = { debug = true, info = true, warning = true, error = true }

--- log(message) or log(level, message).
function shared.log(level, message)
  if message == nil then level, message = "info", level end
  if not levels[level] then error("log: the level is debug, info, warning or error", 2) end
  local owner = run.current()
  owner.lines = (owner.lines or 0) + 1
  if owner.lines <= LINES then owner.log(level, tostring(message):sub(1, 1000)) end
end

M.functions = shared

local meta = { __index = shared, __metatable = false }

--- The ctx of one run of `item` = { ns, name, state, rates }.
function M.new(item, interval)
  return setmetatable({ ns = item.ns, name = item.name, interval = interval, state = item.state }, meta)
end

return M
