-- The output `influxdb`: hands messages to a worker of its own, which lives as long as it works: started when there is
-- something to write, again with a backoff when it ends, killed when it is stuck. What it had in hand fails then.

local jitter = require("agent.publish.jitter")

local WINDOW = 2            -- jobs handed over: one being written, one waiting in the pipe
local GRACE_SECONDS = 3     -- beyond the deadline that the worker gives itself
local LONGEST_PAUSE = 300   -- seconds, whatever Retry-After says
local BURST_SECONDS = 60    -- what repeats is logged this often

local output = {}
output.__index = output

local function set_state(self, state)
  if self.state ~= state then self.state, self.since = state, self.clock.wall() end
end

local function announce_room(self)
  if self.blocked and self:room() then
    self.blocked = false
    if self.on_room then self.on_room() end
  end
end

-- Counts; says it at once when it is new, and what has come together since at most each BURST_SECONDS.
local function tell(self, kind, level, message, count, fields)
  local told = self.told[kind] or { count = 0 }
  self.told[kind] = told
  told.count = told.count + count
  if told.at and self.clock.mono() - told.at < BURST_SECONDS then return end
  fields.count, fields.url = told.count, self.shown
  told.at, told.count = self.clock.mono(), 0
  if self.log then self.log[level]("influxdb", message, fields) end
end

-- After a failure nothing is sent for a while: the server's wish, or our own backoff.
local function pause(self, seconds)
  local own = jitter.delay(self.failures, self.random) / 1000
  self.failures = self.failures + 1
  if self.paused then self.paused:cancel() end
  set_state(self, "waiting")
  self.paused = self.after(math.max(own, math.min(seconds or 0, LONGEST_PAUSE)), function()
    self.paused = nil
    announce_room(self)
  end)
end

local function failed(self, err)
  self.last_error = { code = err.code, message = err.message, server = self.shown, time = self.clock.wall() }
  tell(self, "failed", "warning", "not written, it will be tried again", 1, { code = err.code, reason = err.message })
end

-- The worker's time for the first of the jobs begins when it can work on it.
local function watch(self)
  if self.watchdog then self.watchdog:cancel() end
  self.watchdog = self.jobs[1] and self.after(self.ack_ms / 1000 + GRACE_SECONDS, function()
    self.watchdog = nil
    self.worker:kill()
  end) or nil
end

local function count_points(self, result)
  local lost, causes = 0, {}
  for cause, count in pairs(result.dropped) do
    self.dropped_points[cause] = (self.dropped_points[cause] or 0) + count
    lost = lost + count
    causes[#causes + 1] = cause
  end
  if lost > 0 then
    table.sort(causes)
    tell(self, "lost", "error", "points refused for good; they are dropped", lost,
      { cause = table.concat(causes, ","), reason = result.why })
  end
end

-- err for the outbox when messages of the batch are no messages at all.
local function refusal(self, job, result)
  if not result.bad[1] then return nil end
  local refused = {}
  for i, number in ipairs(result.bad) do refused[i] = job.batch.messages[number] end
  self.dropped_messages = self.dropped_messages + #refused
  return { code = "not_a_message", message = result.why, permanent = true, refused = refused }
end

local function answered(self, result)
  local job = table.remove(self.jobs, 1)
  watch(self)
  if not job then return end
  if result.err then
    failed(self, result.err)
    pause(self, result.err.retry_after)
    job.done({ code = result.err.code, message = result.err.message, permanent = false })
  else
    if self.failures > 0 and self.log then self.log.info("influxdb", "written again", { url = self.shown }) end
    self.failures, self.told.failed = 0, nil
    set_state(self, "connected")
    self.written_points = self.written_points + result.stored
    count_points(self, result)
    job.done(refusal(self, job, result))
  end
  announce_room(self)
end

local function fail_all(self, err)
  local jobs = self.jobs
  self.jobs = {}
  watch(self)
  for _, job in ipairs(jobs) do
    job.done({ code = err.code, message = err.message, permanent = false })
  end
end

local function ended(self, err)
  self.worker = nil
  err = err or { code = "ended", message = "worker influxdb ended" }
  if not self.closed then
    failed(self, err)
    pause(self)
  end
  fail_all(self, err)
  local callback = self.closing
  self.closing = nil
  if callback then callback() end
end

-- cpu_s: it lives long; what it gets for one job is bounded by the watchdog.
local function start(self)
  local worker, over
  worker = self.run("influxdb", self.request, {
    deadline_ms = 0, limits = { cpu_s = 2 ^ 30 },
    on_item = function(result) answered(self, result) end,
  }, function(err)
    over = true
    ended(self, err)
  end)
  self.worker = not over and worker or nil
end

local function hand_over(self, batch)
  local texts = {}
  for i, message in ipairs(batch.messages) do texts[i] = message[1] .. message[2] end
  if not self.worker then start(self) end
  if not self.worker then return nil, "the worker can't be started", "spawn" end
  self.ids = self.ids + 1
  return self.worker:send({ id = self.ids, messages = texts })
end

--- Takes a batch { topic, messages = { { head, body } … }, bytes }. done(err) once: nil when InfluxDB has all that it
--- takes of it (what it refuses is counted); err.permanent when err.refused are no messages; else it is to be sent
--- again.
function output:send(batch, done)
  if not self:room() then
    return done({ code = "EAGAIN", message = "too much under way, or waiting after a failure", permanent = false })
  end
  local ok, message, code = hand_over(self, batch)
  if not ok then return done({ code = code, message = message, permanent = false }) end
  self.jobs[#self.jobs + 1] = { batch = batch, done = done }
  if not self.jobs[2] then watch(self) end
end

--- true: send() may take another batch now; else on_room is called when it may again.
function output:room()
  local room = not self.closed and not self.paused and #self.jobs < WINDOW
  if not room then self.blocked = true end
  return room
end

--- Nothing can be sent now, and not because it is busy.
function output:failing()
  return self.paused ~= nil
end

--- Fails what is under way (transiently), ends the worker, then calls callback().
function output:close(callback)
  if self.closed then
    if callback then callback() end
    return
  end
  self.closed, self.closing = true, callback
  if self.paused then self.paused:cancel() end
  set_state(self, "closed")
  fail_all(self, { code = "ECANCELED", message = "the output was closed" })
  if self.worker then return self.worker:kill() end
  self.closing = nil
  if callback then callback() end
end

--- A plain table for /me/status; times are unix seconds.
function output:status()
  local bytes = 0
  for _, job in ipairs(self.jobs) do bytes = bytes + job.batch.bytes end
  return {
    server = self.shown, state = self.state, since = self.since, worker = self.worker and self.worker:pid(),
    inflight = #self.jobs, inflight_bytes = bytes, written_points = self.written_points,
    dropped_points = self.dropped_points, dropped_messages = self.dropped_messages, last_error = self.last_error,
  }
end

local M = {}

-- A password in the URL stays out of logs and answers.
local function shown(url)
  return (url:gsub("^(%a+://)[^/@]*@", "%1"))
end

--- conf = the `output` table of the configuration. env.clock, env.log, env.ack_ms and, for specs, env.random, env.run
--- (agent.worker.client's), env.after (agent.timer's), env.connect_ms may be given.
function M.new(conf, env)
  local ack_ms = env.ack_ms or 5000
  return setmetatable({
    clock = env.clock or require("host.clock"), log = env.log, random = env.random or jitter.random,
    after = env.after or require("agent.timer").after, run = env.run or require("agent.worker.client").run,
    ack_ms = ack_ms, shown = shown(conf.url),
    request = { url = conf.url, org = conf.org, bucket = conf.bucket, user = conf.user, auth = conf.auth,
      password = conf.password, token = conf.token, batchsize = conf.batchsize, tlsca = conf.tlsca,
      tlscert = conf.tlscert, tlskey = conf.tlskey, ack_ms = ack_ms, connect_ms = env.connect_ms or 4000 },
    jobs = {}, ids = 0, failures = 0, told = {}, state = "idle", blocked = true, written_points = 0,
    dropped_points = {}, dropped_messages = 0,
  }, output)
end

return M
