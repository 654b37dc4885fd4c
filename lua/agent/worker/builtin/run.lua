-- Runs foreign functions as coroutines, many at once, each with a deadline, a slice of CPU and an amount of memory.
-- What stops one is raised in it by a hook, and raised again from every protected call. Nothing of a run outlives it:
-- what it opened is closed, and its coroutine never goes on.

local guard = require("host.guard")
local uv = require("luv")

local M = {}

local STEP = 10000 -- instructions between two looks at the clock
local HELD_UP = 0.02 -- seconds: when one run takes longer in one go, the others are given that time back
local STOP = setmetatable({}, { __tostring = function() return "stopped" end, __metatable = false })

local limits -- { slice = seconds of CPU in one go, memory = bytes that a run may grow by }
local current
local held_up = 0 -- seconds that long goes took so far, all together
local unpack, yield, running, co_status = unpack, coroutine.yield, coroutine.running, coroutine.status
local cpu, count = os.clock, collectgarbage

local function now() return uv.hrtime() / 1e9 end

M.now = now

--- The run whose code runs just now; nil in the worker's own.
function M.current() return current end

--- When a run has to end: what others held the worker up for doesn't count.
function M.deadline(run)
  return run.deadline + held_up - run.held_up
end

-- Of the file that is running, where the hook found it.
local function place()
  for level = 3, 12 do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    if info.source:byte() == 61 and info.currentline > 0 and info.short_src:find("%.lua$") then
      return (" at %s:%d"):format(info.short_src, info.currentline)
    end
  end
  return ""
end

-- What others left behind and is collected meanwhile is no room for this run.
local function grown(run)
  local heap = count("count")
  if heap < run.heap then run.heap = heap end
  return run.grown + (heap - run.heap) * 1024
end

local function reason_to_stop(run)
  if now() > M.deadline(run) then return "timeout", ("no end after %g s"):format(run.seconds) end
  if grown(run) > limits.memory then
    collectgarbage()
    if grown(run) > limits.memory then
      return "memory", ("more than %d KiB of memory"):format(limits.memory / 1024)
    end
  end
  if cpu() - run.slice > limits.slice then
    return "slice", ("more than %g s of CPU in one go"):format(limits.slice)
  end
end

-- Once stopped, each further instruction of the run raises, so that no pcall() in it outlives it.
local function tick()
  local run = current
  if not run or running() ~= run.co then return end
  if not run.stopped then
    local code, why = reason_to_stop(run)
    if not code then return end
    run.stopped, run.why = code, why .. place()
    debug.sethook(tick, "", 1)
  end
  error(STOP, 0)
end

--- Once per process.
function M.setup(options)
  limits = options
  debug.sethook(tick, "", STEP)
end

--- For the sandbox: raises again in a run that was stopped.
function M.caught()
  if current and current.stopped then error(STOP, 0) end
end

--- Has `close` called when the run ends. Returns what release() forgets it by.
function M.own(close)
  local token = {}
  current.open[token] = close
  return token
end

function M.release(run, token)
  run.open[token] = nil
end

local function close_all(run)
  for token, close in pairs(run.open) do
    run.open[token] = nil
    close()
  end
  if run.timer then
    run.timer:close()
    run.timer = nil
  end
end

local function finish(run, outcome)
  if run.over then return end
  run.over = true
  run.wait, run.co = nil, nil -- and with it all that its stack holds
  close_all(run)
  outcome.seconds, outcome.cpu = now() - run.began, run.cpu
  outcome.grown = run.grown
  run.done(outcome)
end

local function stop_outcome(run)
  return { status = run.stopped == "timeout" and 2 or 1, reason = run.why, strike = true }
end

local function sentence(err)
  if type(err) == "string" then return err end
  return ("raised a %s"):format(type(err))
end

local function give_back(run)
  local took = now() - run.stepped
  if took < HELD_UP then return end
  held_up = held_up + took
  run.held_up = run.held_up + took
end

local function after_step(run, ok, ...)
  local hooked = run.stopped
  guard.leave()
  current = nil
  if hooked then debug.sethook(tick, "", STEP) end
  run.cpu = run.cpu + cpu() - run.slice
  give_back(run)
  run.grown = grown(run)
  if run.stopped then return finish(run, stop_outcome(run)) end
  if not ok then
    local why = sentence((...)):sub(1, 500)
    return finish(run, { status = 1, reason = why, strike = why == "not enough memory" })
  end
  if co_status(run.co) == "dead" then finish(run, (...)) end
end

-- What one run's doing ends for another waits until the first has yielded.
local function later(run, ...)
  local values, timer = { n = select("#", ...), ... }, uv.new_timer()
  timer:start(0, 0, function()
    timer:close()
    if not run.over then M.step(run, unpack(values, 1, values.n)) end
  end)
end

local function step(run, ...)
  if current then return later(run, ...) end
  current = run
  run.slice, run.heap, run.stepped = cpu(), count("count"), now()
  guard.enter(run.id)
  return after_step(run, coroutine.resume(run.co, ...))
end

M.step = step

--- Runs fn(…), which returns the outcome { status =, … }, as a coroutine.
--- options: id (number for the guard), seconds (until its deadline), done(outcome), called once, with status 1 and
--- reason (raised), 2 (its deadline), strike = true where it had to be stopped; always seconds, cpu (seconds).
--- Further fields are kept in the run, for ctx.
function M.start(options, fn, ...)
  local run = options
  run.co, run.open, run.cpu, run.grown = coroutine.create(fn), {}, 0, 0
  run.began, run.held_up = now(), held_up
  run.deadline = run.began + run.seconds
  step(run, ...)
  return run
end

--- Ends a run from outside, wherever it waits.
function M.cancel(run, reason)
  if run.wait and run.wait.cancel then run.wait.cancel() end
  finish(run, { status = 1, reason = reason })
end

local arm

local function wait_over(run)
  local wait = run.wait
  if not wait then return end
  -- Held up itself, the loop has not looked yet whether what is waited for has come.
  if now() - wait.due > HELD_UP then return arm(run, wait, 0.001) end
  local left = M.deadline(run) - now()
  local more = math.min(left, wait.ends - now())
  if more > 0.0005 then return arm(run, wait, more) end
  run.wait = nil
  if wait.cancel then wait.cancel() end
  if left < 0.0005 then
    return finish(run, { status = 2, reason = ("no end after %g s, waiting for %s"):format(run.seconds, wait.what) })
  end
  step(run, nil, ("%s: nothing within %g s"):format(wait.what, wait.seconds), "timeout")
end

function arm(run, wait, seconds)
  run.timer = run.timer or uv.new_timer()
  wait.due = now() + seconds
  uv.update_time()
  run.timer:start(math.max(0, math.ceil(seconds * 1000)), 0, function() wait_over(run) end)
end

--- Lets others run until `answer(…)`, given to begin(answer), is called; returns what it was called with. begin
--- returns nil or what breaks the waiting off. After `seconds` (nil: until the deadline of the run) nil, message,
--- "timeout" instead. `what` says what is waited for.
function M.await(what, seconds, begin)
  local run = assert(current, "ctx is of use during a run only")
  M.caught()
  local wait = { what = what, seconds = seconds }
  run.wait = wait
  wait.cancel = begin(function(...)
    if run.wait ~= wait then return end
    run.wait = nil
    if wait.yielded then
      run.timer:stop()
      step(run, ...)
    else
      wait.early = { n = select("#", ...), ... }
    end
  end)
  if wait.early then return unpack(wait.early, 1, wait.early.n) end
  wait.ends = seconds and now() + seconds or math.huge
  arm(run, wait, math.min(M.deadline(run), wait.ends) - now())
  wait.yielded = true
  return yield()
end

return M
