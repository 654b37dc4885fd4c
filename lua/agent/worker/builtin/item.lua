-- A function assigned to a namespace, and one run of it.

local buffer = require("string.buffer")
local ctx = require("agent.worker.builtin.ctx")
local metrics = require("agent.worker.builtin.metrics")
local params = require("agent.worker.builtin.params")
local plain = require("agent.worker.builtin.plain")
local run = require("agent.worker.builtin.run")

local M = {}

local STATE = 65536 -- bytes of ctx.state

local function failure(reason)
  return { status = 1, reason = reason }
end

--- One as the supervisor tells of it: { key, name, fn, ns, params, interval, timeout, state = encoded | nil }.
function M.new(told)
  local item = told
  item.saved = told.state
  item.state, item.rates = M.restore(item)
  return item
end

--- state and rates as they were saved last.
function M.restore(item)
  local saved = item.saved and buffer.decode(item.saved) or {}
  return saved.state or {}, saved.rates or {}
end

local function take_metrics(given, why)
  if given == nil then return failure(why ~= nil and tostring(why):sub(1, 500) or "returned nil") end
  if type(given) ~= "table" then return failure(("returned a %s, not metrics"):format(type(given))) end
  local list, refused, wrong, bytes = metrics.plain(given)
  if refused == 0 then return { status = 0, metrics = list, bytes = bytes } end
  return { status = 3, metrics = list, bytes = bytes, reason = ("%d metrics refused: %s"):format(refused, wrong) }
end

-- What remains of a run, encoded, when it differs from what was saved.
local function keep(item, rates)
  local empty = next(item.state) == nil and next(rates) == nil
  if empty and not item.saved then return nil end
  local text = not empty and buffer.encode({ state = plain.copy(item.state, STATE), rates = rates }) or nil
  item.rates = rates
  if text == item.saved then return nil end
  item.saved = text
  return text or ""
end

-- Within the coroutine, so that all that the function makes us do is counted as its own.
local function call(item, fn, values)
  local owner = run.current()
  local handed = ctx.new(item, item.interval)
  local outcome = take_metrics(fn(values, handed))
  if rawget(handed, "state") ~= item.state then
    local state = rawget(handed, "state")
    item.state = type(state) == "table" and state or {}
  end
  outcome.state = keep(item, outcome.status == 1 and item.rates or owner.rates)
  return outcome
end

local function fitting(item, definition)
  if item.fitted_for ~= definition then
    item.values, item.wrong = params.fit(definition.params, item.params)
    item.fitted_for = definition
  end
  return item.values, item.wrong
end

--- Runs it once; done(outcome), as run.start() has it, with metrics and state (encoded, when it changed).
function M.run(item, definition, log, done)
  if not definition then return done(failure("there is no builtin function " .. item.fn)) end
  local values, wrong = fitting(item, definition)
  if not values then return done(failure(wrong)) end
  return run.start({
    id = item.key, seconds = item.timeout, item = item, rates = {}, log = log,
    done = function(outcome)
      -- What a run left half done when it failed is not what the next begins with.
      if outcome.status == 2 or not outcome.bytes then item.state, item.rates = M.restore(item) end
      done(outcome)
    end,
  }, call, item, definition.run, plain.copy(values, 2 ^ 20))
end

return M
