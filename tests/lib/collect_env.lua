-- What a collector is handed, in the specs: a log that remembers, a clock to wind, a throw-away root.

local uv = require("luv")
local wait = require("wait")

local M = {}

local function remembering_log()
  local log = { lines = {} }
  for _, level in ipairs({ "fatal", "error", "warning", "info", "debug" }) do
    log[level] = function(_, message, fields)
      log.lines[#log.lines + 1] = { level = level, message = message, fields = fields or {} }
    end
  end
  return log
end

--- A collector's env; conf replaces conf.agent. `env.now` is the wall clock, for the test to wind.
function M.new(conf)
  local env = { conf = conf or {}, log = remembering_log(), now = 1700000000 }
  env.clock = { wall = function() return env.now end, mono = require("host.clock").mono }
  return env
end

--- Runs the loop until ready() is true; an error after `seconds` (5).
function M.wait(ready, seconds)
  return wait.until_true(ready, (seconds or 5) * 1000)
end

--- Runs a collector once. Returns its metrics and error; an error when done() isn't called exactly once.
function M.run(collector, seconds)
  local calls, metrics, err = 0, nil, nil
  collector.run(function(m, e)
    calls, metrics, err = calls + 1, m, e
  end)
  M.wait(function() return calls > 0 end, seconds)
  uv.run("nowait")
  assert(calls == 1, "done() was called " .. calls .. " times")
  return metrics, err
end

function M.tempdir()
  return assert(uv.fs_mkdtemp("/tmp/agent-spec-XXXXXX"))
end

--- Removes a directory with all below it.
function M.remove(path)
  local found = uv.fs_scandir(path)
  while found do
    local name, kind = uv.fs_scandir_next(found)
    if not name then break end
    local full = path .. "/" .. name
    if kind == "directory" then M.remove(full) else uv.fs_unlink(full) end
  end
  uv.fs_rmdir(path)
end

function M.write(path, bytes, mode)
  local file = assert(io.open(path, mode or "wb"))
  file:write(bytes)
  file:close()
end

return M
