-- Programs of a run: an argument vector, never a shell, with a deadline.

local run = require("agent.worker.builtin.run")

local M = {}

local OUTPUT = 2 ^ 20

local function options_of(given, seconds)
  local argv = {}
  for i, word in ipairs(given) do argv[i] = tostring(word) end
  if not argv[1] then error("exec: the program and its arguments are wanted: ctx.exec{ \"/bin/true\" }", 3) end
  return {
    argv = argv, env = given.env, cwd = given.cwd, stdin = given.stdin,
    deadline_ms = math.max(1, math.floor(seconds * 1000)), grace_ms = 200,
    max_output = math.min(given.max_output or OUTPUT, OUTPUT), limits = { core = 0 },
  }
end

local function answer_of(program, result)
  if result.error then return nil, ("%s: %s"):format(program, result.error.message), result.error.code end
  return { code = result.code, signal = result.signal, timed_out = result.timed_out, stdout = result.stdout,
    stderr = result.stderr, truncated = result.truncated }
end

--- ctx.exec: { program, argument, …, stdin =, env =, cwd =, timeout =, max_output = } → result; nil, message, code
--- when it can't be started.
function M.run(given)
  local owner = run.current()
  local left = run.deadline(owner) - run.now()
  local options = options_of(given, math.min(given.timeout or left, left))
  return run.await(options.argv[1], nil, function(answer)
    local child, why, code
    local token = run.own(function() if child then child:kill("KILL") end end)
    child, why, code = require("host.exec").run(options, function(result)
      run.release(owner, token)
      answer(answer_of(options.argv[1], result))
    end)
    if not child then
      run.release(owner, token)
      answer(nil, ("%s: %s"):format(options.argv[1], why), code)
    end
  end)
end

return M
