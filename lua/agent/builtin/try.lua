-- Runs one builtin function in a worker as the agent would, for `agent builtin run` and for specs.

local M = {}

local function quiet() end

--- options: conf (complete; default the defaults), directories (default those of conf), params (table or JSON text),
--- ns, interval (10), timeout, times (1; with a second between), log.
--- each(outcome) for each run: { status, reason, metrics, usage }; then done(err).
function M.start(name, options, each, done)
  local timer, clock = require("agent.timer"), require("host.clock")
  local conf = options.conf or require("agent.config").defaults()
  local left, room = options.times or 1, nil
  local tick
  local function finished(outcome)
    left = left - 1
    each(outcome)
    if left > 0 then return timer.after(1, function() tick(quiet) end) end
    room:close()
    done()
  end
  room = require("agent.builtin").new({
    conf = conf, run = require("agent.worker.client").run, namespaces = function() return {} end,
    now = clock.mono, after = timer.after, log = options.log or require("host.log"),
    directories = options.directories or require("agent.builtin.home").directories(conf),
    user = require("luv").getuid() == 0 and conf.builtin.user or nil,
    outcome = { report = function(_, run) finished(run) end },
    scheduler = { remove = quiet, every = function(_, _, _, fn)
      tick = fn
      timer.after(0, function() fn(quiet) end)
    end },
  })
  conf.builtins = {}
  room:apply({ { type = "BUILTIN", ns = options.ns or "local", name = options.name or name, run = name,
    params = options.params, interval = options.interval or 10, timeout = options.timeout } })
  return room
end

--- For specs: runs it `options.times` times, with the loop running meanwhile; the outcomes in order.
function M.run(name, options)
  local uv = require("luv")
  local outcomes, over = {}, false
  local deadline = uv.new_timer()
  deadline:start((options.patience or 30) * 1000, 0, function() over = true end)
  local room = M.start(name, options, function(outcome) outcomes[#outcomes + 1] = outcome end,
    function() over = true end)
  while not over do uv.run("once") end
  deadline:close()
  room:close()
  return outcomes
end

--- The value of a metric of an outcome, the first with those tags; nil when it has none of that name.
function M.value(outcome, name, tags)
  for _, metric in ipairs(outcome.metrics or {}) do
    local fits = metric.name == name
    for key, value in pairs(tags or {}) do fits = fits and (metric.tags or {})[key] == value end
    if fits then return metric.value end
  end
end

return M
