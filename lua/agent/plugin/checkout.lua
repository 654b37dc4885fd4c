-- Which tree of a plugin is in force, and how it gets there. All work on PluginsDir and with git servers is done by
-- the git worker; here is decided what it does when: never two jobs of one plugin at once, two workers at most.

local source = require("agent.plugin.source")

local M = {}
M.__index = M

local MOST_WORKERS, MOST_LOOKS = 2, 200
local DISK_MS = 30000 -- for a worker that talks to the disk only
local MiB = 2 ^ 20

--- options: conf = conf.agent, run = agent.worker.client.run, log = host.log, owner = function → "UID:GID" of the
--- plugins' user or nil for the agent's own.
function M.new(options)
  return setmetatable({
    conf = options.conf, run = options.run, log = options.log, owner = options.owner or function() end,
    waiting = {}, busy = {}, workers = 0, jobs = 0,
    start = string.format("%x", require("luv").hrtime() / 1e3), -- names of one agent's life
  }, M)
end

local function refused(message)
  return { code = "refused", message = message }
end

-- The record's names, checked once more: they become paths. Or nil, err.
local function item_of(self, record)
  local why = source.refuse_ns(record.ns)
  if why then return nil, refused(("namespace %q: %s"):format(record.ns, why)) end
  local project, dir = source.project(record.git)
  if not project then return nil, refused(dir) end
  why = record.ref and source.refuse_ref(record.ref)
  if why then return nil, refused("ref: " .. why) end
  return { ns = record.ns, project = project, dir = dir, ref = record.ref, owner = self.owner() }
end

local function key_of(item)
  return item.ns .. "/" .. item.dir
end

-- What the worker raised is ours already; else the worker itself failed.
local function error_of(err)
  local detail = err.detail
  if detail and detail.code then return { code = detail.code, message = detail.message } end
  return { code = err.code, message = err.message }
end

local pump

local function start_worker(self, request, options, jobs, ended)
  for _, job in ipairs(jobs) do self.busy[job.key] = true end
  self.workers = self.workers + 1
  request.pluginsdir = self.conf.pluginsdir
  self.run("git", request, options, function(err, result)
    self.workers = self.workers - 1
    for _, job in ipairs(jobs) do self.busy[job.key] = nil end
    ended(err, result)
    pump(self)
  end)
end

-- Before anything else: what was left by an agent that crashed.
local function clean(self)
  self.cleaning = "now"
  start_worker(self, { what = "clean" }, { deadline_ms = DISK_MS }, {}, function(err)
    self.cleaning = "done"
    if err then self.log.warning("plugin", "cannot tidy up: " .. error_of(err).message) end
  end)
end

local function look(self, jobs)
  local items, answers = {}, {}
  for i, job in ipairs(jobs) do items[i] = job.item end
  start_worker(self, { what = "look", items = items },
    { deadline_ms = DISK_MS, on_item = function(answer) answers[answer[1]] = answer end },
    jobs, function(err)
      for i, job in ipairs(jobs) do
        local answer = answers[i] or { err = error_of(err or { code = "failed", message = "no answer" }) }
        job.done(answer.err, answer.tree)
      end
    end)
end

local function limits_of(conf)
  return { cpu_s = math.ceil(conf.gitdeadline), address_space = 256 * MiB + 4 * conf.gitmaxsize,
    file_size = 2 * conf.gitmaxsize + 16 * MiB, core = 0, open_files = 256 }
end

-- What a worker that was killed had in hand.
local function tidy(self, key, unique)
  self.waiting[#self.waiting + 1] = { what = "remove", key = key, items = { { staging = unique } } }
end

local function fetch_error(self, job, err)
  local told = error_of(err)
  local url = source.shown(job.item.url)
  if err.code == "timeout" then
    told.message = ("%s: not done within %g s"):format(url, self.conf.gitdeadline)
  elseif told.code ~= err.code or err.code == "failed" and err.detail then
    return told
  else
    told.message = url .. ": " .. told.message
  end
  tidy(self, job.key, job.item.unique)
  return told
end

local function fetch(self, job)
  local conf, item = self.conf, job.item
  self.jobs = self.jobs + 1
  item.unique = self.start .. "_" .. self.jobs
  item.format, item.key, item.knownhosts, item.ca, item.token = conf.git, conf.gitkey, conf.gitknownhosts,
    conf.gitca, conf.gittoken
  item.maxsize, item.maxfiles = conf.gitmaxsize, conf.gitmaxfiles
  start_worker(self, { what = "fetch", job = item },
    { deadline_ms = conf.gitdeadline * 1000, limits = limits_of(conf) }, { job }, function(err, result)
      if err then return job.done(fetch_error(self, job, err)) end
      job.done(nil, result.tree, result.changed)
    end)
end

local function remove(self, job)
  start_worker(self, { what = "remove", items = job.items }, { deadline_ms = DISK_MS }, { job }, function(err)
    if err then self.log.warning("plugin", "cannot remove what is left over: " .. error_of(err).message) end
  end)
end

local starters = { fetch = fetch, remove = remove }

-- The first jobs that may begin: one, or many that only look.
local function take(self)
  local jobs, seen, i = {}, {}, 1
  while self.waiting[i] do
    local job = self.waiting[i]
    local blocked = self.busy[job.key] or seen[job.key]
    seen[job.key] = true
    if not blocked and (not jobs[1] or job.what == "look") then
      if job.what ~= "look" then return { table.remove(self.waiting, i) } end
      jobs[#jobs + 1] = table.remove(self.waiting, i)
      if #jobs == MOST_LOOKS then break end
    else
      i = i + 1
    end
  end
  return jobs
end

function pump(self)
  if not self.cleaning then clean(self) end
  while self.cleaning == "done" and self.workers < MOST_WORKERS do
    local jobs = take(self)
    if not jobs[1] then return end
    if jobs[1].what == "look" then look(self, jobs) else starters[jobs[1].what](self, jobs[1]) end
  end
end

local function wait(self, job, first)
  table.insert(self.waiting, first and 1 or #self.waiting + 1, job)
end

local function fetch_job(self, record, item, done)
  local url, why = source.url(record.git, self.conf.git, self.conf.gitschemes)
  if not url then return nil, refused(why) end
  item.url = url
  return { what = "fetch", key = key_of(item), item = item, done = done }
end

--- The tree of a plugin: what is checked out already, without any network, else it is cloned. callback(err, tree):
--- both when a tree is checked out that isn't of the item's ref and the right one can't be had now. May call back at
--- once when the record is refused. err.code: "refused", "timeout", "too_big", "bad_tree", "auth", "host_key",
--- "certificate", "not_found" (no such ref), "empty" (repository), "crashed", "spawn", "failed".
function M:ensure(record, callback)
  local item, err = item_of(self, record)
  if not item then return callback(err) end
  wait(self, { what = "look", key = key_of(item), item = item, done = function(wrong, tree)
    if tree and not wrong then return callback(nil, tree) end
    if wrong and wrong.code ~= "bad_tree" and wrong.code ~= "other_ref" then return callback(wrong) end
    local job, why = fetch_job(self, record, item, function(failed, fetched)
      callback(failed, fetched or tree)
    end)
    if not job then return callback(why, tree) end
    wait(self, job, true)
  end })
  pump(self)
end

--- Asks the server. callback(err, tree, changed); after an error the tree in force stays in force.
function M:update(record, callback)
  local item, err = item_of(self, record)
  if not item then return callback(err) end
  local job, why = fetch_job(self, record, item, callback)
  if not job then return callback(why) end
  wait(self, job)
  pump(self)
end

--- No run uses this tree any more: it is removed, unless it is in force.
function M:release(record, tree)
  local item = item_of(self, record)
  local name = tree.path:match("/%.trees/[^/]+/[^/]+/([^/]+)$")
  if not item or not name then return end -- what another program checked out goes at the next start
  wait(self, { what = "remove", key = key_of(item), items = { { ns = item.ns, dir = item.dir, name = name } } })
  pump(self)
end

--- For /me/status: { workers =, waiting = }.
function M:status()
  return { workers = self.workers, waiting = #self.waiting }
end

return M
