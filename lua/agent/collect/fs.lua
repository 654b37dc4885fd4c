-- Group FS: kernel.files.*, then for each mount fs.files.rw, fs.inodes.*, fs.space.*, fs.stuck.
--
-- The mounts are examined by the worker "mounts", which may hang on any of them. One that does not answer in
-- time is stuck: its worker is killed, another one goes on with the rest, and it is left alone until that
-- process is gone, which on a dead file system may take as long as the machine runs.

local kernel_files = require("agent.collect.kernel_files")

local M = { name = "FS", interval = 300, rates = false }

local DEADLINE = 5 -- seconds for one mount
local MAX_TABLE = 4 * 1024 * 1024
-- So many workers may hang. From the first bound on only mounts are probed that answered before or are local,
-- from the second on none: what hangs may cost memory, but not without end.
local LINGERING, LINGERING_LAST = 16, 32
local MIB = 1048576

-- Mounts that say this are gone meanwhile, no directories, or not ours to see.
local NOT_MEASURED = { EACCES = true, ENOENT = true, ENOTDIR = true }

local function percent(part, whole)
  return whole > 0 and math.ceil(100 * part / whole) or 0
end

local function append_space(metrics, usage, tags)
  local function add(name, value) metrics[#metrics + 1] = { name = name, value = value, tags = tags } end
  local used = math.max(usage.blocks - usage.bfree, 0)
  add("fs.inodes.used.percent", percent(math.max(usage.files - usage.ffree, 0), usage.files))
  add("fs.space.used.percent", usage.blocks > 0 and percent(used, used + usage.bavail) or 0)
  add("fs.space.total", math.floor(usage.frsize * usage.blocks / MIB))
  add("fs.space.used", math.floor(usage.frsize * used / MIB))
  add("fs.space.free", math.floor(usage.frsize * usage.bavail / MIB))
end

local function append_mount(lists, target, result, hangs)
  local tags = { mount = target.mount }
  if hangs then
    table.insert(lists.stuck, { name = "fs.stuck", value = 1, tags = tags })
  elseif result and not NOT_MEASURED[result.code] then
    table.insert(lists.stuck, { name = "fs.stuck", value = 0, tags = tags })
    local rw = result.error and 0 or result.rw
    if rw then table.insert(lists.rw, { name = "fs.files.rw", value = rw, tags = tags }) end
    if not result.error then append_space(lists.space, result, tags) end
  end
end

---@class agent.collect.fs
local Collector = {}
Collector.__index = Collector

function Collector:may_probe(target)
  if self.stuck[target.id] then return false end
  if self.lingering < LINGERING then return true end
  return self.lingering < LINGERING_LAST and (not target.remote or self.answered[target.id] or false)
end

function Collector:finish(round, err)
  self.round = nil
  local metrics, lists, answered = round.metrics, { rw = {}, space = {}, stuck = {} }, {}
  for _, target in ipairs(round.targets) do
    local result = round.results[target]
    answered[target.id] = result and true or nil
    append_mount(lists, target, result, round.hung[target] or self.stuck[target.id])
  end
  self.answered = answered
  for _, name in ipairs({ "rw", "space", "stuck" }) do
    for _, metric in ipairs(lists[name]) do metrics[#metrics + 1] = metric end
  end
  round.done(metrics, err)
end

-- The process that hung on this mount is gone: it may be probed again.
function Collector:release(target)
  if not self.stuck[target.id] then return end
  self.stuck[target.id] = nil
  self.lingering = self.lingering - 1
  self.log.info("fs", "the process that hung on a file system is gone", { mount = target.mount })
end

-- The mount that the worker works on did not answer in time.
function Collector:give_up(round, attempt)
  local target = attempt.batch[attempt.at]
  attempt.over, attempt.hung = true, target
  round.hung[target] = true
  self.stuck[target.id] = true
  self.lingering = self.lingering + 1
  self.log.warning("fs", "file system does not answer", { mount = target.mount, seconds = self.deadline })
  attempt.handle:kill()
  self:examine(round, attempt.batch, attempt.at + 1)
end

function Collector:take(round, attempt, item)
  if attempt.over then return end
  local i, result = item[1], item[2]
  if attempt.timer then attempt.timer:cancel() end
  if result then
    round.results[attempt.batch[i]] = result
  else
    attempt.at = i
    attempt.timer = self.after(self.deadline, function() self:give_up(round, attempt) end)
  end
end

-- The worker's process ended, or (err.stuck) not even KILL ended it.
function Collector:ended(round, attempt, err)
  if attempt.hung then
    if not err or not err.stuck then self:release(attempt.hung) end
    return
  end
  attempt.over = true
  if attempt.timer then attempt.timer:cancel() end
  if self.round ~= round then return end
  if not err then return self:finish(round) end
  if attempt.at == 0 then return self:finish(round, err) end
  self.log.warning("fs", err.message, { mount = attempt.batch[attempt.at].mount })
  self:examine(round, attempt.batch, attempt.at + 1)
end

-- Starts a worker for the targets list[first…].
function Collector:examine(round, list, first)
  local batch, requests = {}, {}
  for i = first, #list do
    local target = list[i]
    if self:may_probe(target) then
      batch[#batch + 1] = target
      requests[#batch] = { path = target.path, write = target.write }
    elseif not self.stuck[target.id] then
      self.log.warning("fs", "file system not probed: too many probes hang", { mount = target.mount })
    end
  end
  if #batch == 0 then return self:finish(round) end
  local attempt = { batch = batch, at = 0 }
  self.attempt = attempt
  attempt.handle = self.worker.run("mounts", requests, {
    deadline_ms = (#batch + 1) * self.deadline * 1000,
    on_item = function(item) self:take(round, attempt, item) end,
    on_gone = function() if attempt.hung then self:release(attempt.hung) end end,
  }, function(err) self:ended(round, attempt, err) end)
end

function Collector:read_mounts()
  local conf = self.conf
  local path = conf.procfs .. (conf.rootfs == "/" and "/mounts" or "/1/mounts")
  local file, why = io.open(path)
  if not file then return nil, { code = "procfs", message = why } end
  local bytes = file:read(MAX_TABLE)
  file:close()
  local entries = require("host.procfs").parse_mounts(bytes or "")
  return require("agent.collect.mounts").select(entries, conf.rootfs)
end

function Collector:collect(done)
  if self.round then return done({}, { code = "busy", message = "fs: the last run is not over" }) end
  local metrics, why = kernel_files.read(self.procfs)
  if not metrics then
    self.log.warning("fs", why)
    metrics = {}
  end
  local targets, err = self:read_mounts()
  if not targets then return done(metrics, err) end
  local round = { targets = targets, metrics = metrics, results = {}, hung = {}, done = done }
  self.round = round
  self:examine(round, targets, 1)
end

function Collector:stop()
  self.round = nil
  local attempt = self.attempt
  if attempt and not attempt.over then
    attempt.over = true
    if attempt.timer then attempt.timer:cancel() end
    if attempt.handle then attempt.handle:kill() end
  end
end

--- env as for every collector, and for specs env.after (agent.timer). env.conf.mountdeadline: seconds.
function M.new(env)
  local collector = setmetatable({
    procfs = env.procfs, conf = env.conf, worker = env.worker, log = env.log,
    after = env.after or require("agent.timer").after, deadline = env.conf.mountdeadline or DEADLINE,
    stuck = {}, answered = {}, lingering = 0,
  }, Collector)
  return {
    run = function(done) collector:collect(done) end,
    close = function() collector:stop() end,
  }
end

return M
