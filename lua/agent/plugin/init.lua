-- Plugins from git: which there are, when they run, what becomes of their output. Each PLUGIN record of the
-- registry is checked out once (checkout.lua), then runs at its interval, or only on call with interval 0; never twice
-- at once.

local limits = require("agent.plugin.limits")
local same = require("agent.same")
local run = require("agent.plugin.run")

local M = {}
M.__index = M

local FIRST_RETRY, LONGEST_RETRY = 10, 3600 -- seconds between tries to check a plugin out
local LONGEST_PAUSE = 60 -- seconds until it is asked again who plugins run as
local BEAT = 0.25 -- seconds between the ticks at which plugins start: a wake-up for each would cost more
local MOST_REASONS = 3 -- refused metrics that are logged of one run

--- options:
---   conf       conf.agent and conf.plugins
---   scheduler
---   checkout   see checkout.lua
---   outcome    agent.outcome
---   exec       host.exec
---   worker     agent.worker.client.run
---   read       agent.plugin.output.read
---   after, later, wall, random, log
function M.new(options)
  local self = setmetatable({
    conf = options.conf, scheduler = options.scheduler, checkout = options.checkout, outcome = options.outcome,
    exec = options.exec, worker = options.worker, read = options.read, after = options.after, later = options.later,
    log = options.log, random = options.random or math.random, wall = options.wall,
    plugins = {}, -- "NS|PROJECT" → plugin
    running = 0,
  }, M)
  self.disabled = require("agent.plugin.disabled").new({
    run = options.worker, conf = options.conf.agent, wall = options.wall, after = options.after, log = options.log,
    expired = function(key) self:reschedule(self.plugins[key]) end,
  })
  return self
end

local function key_of(record)
  return record.ns .. "|" .. record.dir
end

local function is_current(self, plugin)
  return self.plugins[plugin.key] == plugin and not plugin.gone
end

local function fields_of(plugin, more)
  local fields = { ns = plugin.record.ns, plugin = plugin.record.name }
  for name, value in pairs(more or {}) do fields[name] = value end
  return fields
end

-- Keeps what was found out about a run, and has it published.
local function conclude(self, plugin, how, ended)
  ended.kind, ended.type = "plugin", how.type
  ended.ns, ended.name, ended.project = plugin.record.ns, plugin.record.name, plugin.record.project
  plugin.last = { status = ended.status, reason = ended.reason, seconds = ended.usage and ended.usage.seconds,
    at = how.at, commit = ended.commit }
  self.outcome:report(ended)
  if how.done then how.done(ended) end
end

local function log_refused(self, plugin, refused)
  local count = refused.count or #refused
  if count == 0 then return end
  local reasons = {}
  for i = 1, math.min(MOST_REASONS, #refused) do
    reasons[i] = ("entry %s: %s"):format(tostring(refused[i].index), refused[i].reason)
  end
  self.log.warning("plugin", "metrics left out",
    fields_of(plugin, { count = count, reasons = table.concat(reasons, "; ") }))
end

-- A scheduled run that ended by itself: its output decides.
local function read_output(self, plugin, how, result, ended)
  local options = { code = result.code, later = self.later, before = plugin.format }
  self.read(result.stdout, options, function(err, metrics, refused, format)
    if format and format ~= "empty" then plugin.format = format end
    local exit_reason = format ~= "nagios" and run.exit_reason(result)
    if exit_reason then
      ended.status, ended.reason = run.FAILED, exit_reason
    elseif err then
      ended.status, ended.reason = run.REFUSED, err.message
    else
      ended.status, ended.metrics = run.OK, metrics
      log_refused(self, plugin, refused or {})
    end
    conclude(self, plugin, how, ended)
  end)
end

local function over(self, plugin, tree)
  plugin.running = nil
  self.running = self.running - 1
  if plugin.tree ~= tree or not is_current(self, plugin) then self.checkout:release(plugin.record, tree) end
  if self.on_idle and self.running == 0 then self.on_idle() end
end

-- Said once, after the first run: only then it is known.
local function tell_limits(self)
  if self.told_limits then return end
  self.told_limits = true
  local names, why = limits.not_held(self.conf.plugins, self.exec.cgroups())
  if names then self.log.warning("plugin", "limits that nobody holds here", { limits = names, reason = why }) end
end

local function finished(self, plugin, tree, how, result)
  tell_limits(self)
  if not result.stuck then over(self, plugin, tree) end
  local ended = { commit = tree.commit, usage = run.usage(result) }
  ended.status, ended.reason = run.judge(result)
  if how.type == "call" then
    ended.result = result
    if not ended.status then
      ended.reason = run.exit_reason(result)
      ended.status = ended.reason and run.FAILED or run.OK
    end
  end
  if ended.status then return conclude(self, plugin, how, ended) end
  return read_output(self, plugin, how, result, ended)
end

-- how: { type = "regular" | "call", seconds, args, done(ended) }
local function start(self, plugin, how)
  local tree = plugin.tree
  how.owner, how.limits, how.at = self.owner, self.conf.plugins, self.wall()
  local options = run.options(plugin.record, tree, how)
  options.on_gone = function() over(self, plugin, tree) end
  self.running = self.running + 1
  local child, why, code = self.exec.run(options, function(result) finished(self, plugin, tree, how, result) end)
  plugin.running = child or true
  if child then return end
  over(self, plugin, tree)
  conclude(self, plugin, how,
    { status = run.FAILED, reason = "cannot be started: " .. why, code = code, commit = tree.commit })
end

local function tick(self, plugin, done)
  if plugin.running then return done({ code = "busy", message = "still running" }) end
  start(self, plugin, { type = "regular", seconds = run.deadline(plugin.record), args = plugin.record.args,
    done = function(ended)
      done(ended.status ~= run.OK and { code = "failed", message = ended.reason } or nil)
    end })
end

--- (Re)schedules what may run by itself.
function M:reschedule(plugin)
  if not plugin then return end
  local id = "PLUGIN " .. plugin.key
  local wanted = plugin.tree and is_current(self, plugin) and plugin.record.interval > 0
    and not self.disabled:has(plugin.key) and plugin.record.interval or nil
  if plugin.scheduled == wanted then return end
  self.scheduler:remove(id)
  plugin.scheduled = wanted
  if wanted then self.scheduler:every(id, wanted, function(done) tick(self, plugin, done) end, BEAT) end
end

-- From now on this tree runs; a run under way keeps the one it has.
local function take_tree(self, plugin, tree)
  local old = plugin.tree
  plugin.tree, plugin.err = tree, nil
  if old and old.path ~= tree.path and not plugin.running then self.checkout:release(plugin.record, old) end
  self:reschedule(plugin)
end

local fetch

local function retry_later(self, plugin, err)
  plugin.err = err
  plugin.delay = math.min(plugin.delay and plugin.delay * 2 or FIRST_RETRY, LONGEST_RETRY)
  local seconds = plugin.delay * (0.75 + self.random() / 2)
  if plugin.tree then
    self.log.warning("plugin", "runs an older version: " .. err.message, fields_of(plugin, { code = err.code }))
  else
    conclude(self, plugin, { type = "regular", at = self.wall() },
      { status = run.FAILED, reason = "not checked out: " .. err.message })
  end
  plugin.retry = self.after(seconds, function()
    plugin.retry = nil
    fetch(self, plugin)
  end)
end

function fetch(self, plugin)
  self.checkout:ensure(plugin.record, function(err, tree)
    if not is_current(self, plugin) then return end
    if not err and plugin.tree and not plugin.stale then return end -- an update was faster
    if tree then take_tree(self, plugin, tree) end
    plugin.stale = err ~= nil -- what runs, if anything does, is not what the item asks for
    if err then return retry_later(self, plugin, err) end
    plugin.delay = nil
  end)
end

local function drop(self, plugin)
  plugin.gone = true
  if plugin.retry then plugin.retry:cancel() end
  self:reschedule(plugin)
  self.plugins[plugin.key] = nil
  if plugin.tree and not plugin.running then self.checkout:release(plugin.record, plugin.tree) end
end

local function add(self, key, record)
  local plugin = { key = key, record = record }
  self.plugins[key] = plugin
  fetch(self, plugin)
end

-- Whether both come from the same place: then what is checked out serves on.
local function same_source(a, b)
  return a.git == b.git and a.ref == b.ref
end

local function settle(self, records)
  local wanted = {}
  for _, record in ipairs(records) do
    if record.type == "PLUGIN" then wanted[key_of(record)] = self:effective(record) end
  end
  for key, plugin in pairs(self.plugins) do
    if not wanted[key] or not same_source(plugin.record, wanted[key]) then drop(self, plugin) end
  end
  for key, record in pairs(wanted) do
    local plugin = self.plugins[key]
    if not plugin then
      add(self, key, record)
    elseif not same(plugin.record, record) then
      plugin.record = record
      self:reschedule(plugin)
    end
  end
end

--- The record as it is run: its interval is not below agent.mininterval.
function M:effective(record)
  local copy = {}
  for name, value in pairs(record) do copy[name] = value end
  if copy.interval > 0 then copy.interval = math.max(copy.interval, self.conf.agent.mininterval) end
  return copy
end

-- Who plugins run as and which are disabled is asked once, before the first of them.
local function prepare(self)
  self.preparing = true
  local conf = self.conf.agent
  self.worker("plugins", { op = "prepare", dir = conf.pluginsdir, user = conf.pluginsuser }, {}, function(err, answer)
    self.preparing = nil
    if err then
      self.err = err
      self.log.error("plugin", "plugins can't run", { reason = err.message })
      self.after(LONGEST_PAUSE, function() self:apply(self.records) end)
      return
    end
    self.err, self.owner, self.prepared = nil, answer.owner, true
    self.disabled:restore(answer.disabled)
    settle(self, self.records)
  end)
end

local function has_plugins(records)
  for _, record in ipairs(records) do
    if record.type == "PLUGIN" then return true end
  end
end

--- Makes the PLUGIN records among these all that there are.
function M:apply(records)
  self.records = records
  if self.prepared then return settle(self, records) end
  if not self.preparing and has_plugins(records) then prepare(self) end
end

--- The plugin of a namespace with this "group/project" or repository address, or nil.
function M:find(ns, project, git)
  for _, plugin in pairs(self.plugins) do
    local record = plugin.record
    if record.ns == ns and (record.project == project or record.git == git) then return plugin end
  end
end

--- All plugins, sorted: { ns, name (the project's), item, project, interval, enabled, running, commit, last = { status,
--- reason, seconds, at, commit } | nil, error = why it can't be checked out | nil }.
function M:list()
  local list = {}
  for key, plugin in pairs(self.plugins) do
    local record = plugin.record
    list[#list + 1] = {
      ns = record.ns, name = record.dir, item = record.name, project = record.project, interval = record.interval,
      enabled = not self.disabled:has(key), running = plugin.running ~= nil,
      commit = plugin.tree and plugin.tree.commit,
      last = plugin.last, error = plugin.err and plugin.err.message, key = key,
    }
  end
  table.sort(list, function(a, b) return a.key < b.key end)
  for _, one in ipairs(list) do one.key = nil end
  return list
end

--- For /me/status. cgroups, of host.exec, and not_held, limits that nobody holds here: nil before the first run.
function M:status()
  local status = { plugins = 0, running = self.running, disabled = 0, not_checked_out = 0,
    cgroups = self.exec.cgroups(), error = self.err and self.err.message }
  for key, plugin in pairs(self.plugins) do
    status.plugins = status.plugins + 1
    if not plugin.tree then status.not_checked_out = status.not_checked_out + 1 end
    if self.disabled:has(key) then status.disabled = status.disabled + 1 end
  end
  local names, why = limits.not_held(self.conf.plugins, status.cgroups)
  status.not_held = names and { limits = names, reason = why }
  return status
end

--- Runs a plugin now, with a deadline of `seconds` and these arguments; callback(err, ended). err.code "busy": it
--- is running; "failed": it did not end well; otherwise it can't be run. ended.result: of host.exec.
function M:call(plugin, seconds, args, callback)
  if plugin.running then return callback({ code = "busy", message = "plugin is running" }) end
  if not plugin.tree then
    local why = plugin.err and plugin.err.message or "it is being checked out"
    return callback({ code = "not_ready", message = why })
  end
  start(self, plugin, { type = "call", seconds = seconds, args = args, done = function(ended)
    callback(ended.status ~= run.OK and { code = "failed", message = ended.reason } or nil, ended)
  end })
end

--- Fetches the newest version; callback(err, changed). On an error the one in force stays.
function M:update(plugin, callback)
  self.checkout:update(plugin.record, function(err, tree, changed)
    if err then
      self.log.warning("plugin", "update failed: " .. err.message, fields_of(plugin, { code = err.code }))
      return callback(err)
    end
    if not is_current(self, plugin) then
      return callback({ code = "gone", message = "the plugin is gone meanwhile" })
    end
    if plugin.retry then plugin.retry:cancel() end
    plugin.retry, plugin.delay, plugin.stale = nil, nil, nil
    take_tree(self, plugin, tree)
    if changed then self.log.info("plugin", "updated", fields_of(plugin, { commit = tree.commit })) end
    callback(nil, changed)
  end)
end

--- Stops scheduling a plugin, also after a restart; a run under way ends as it would. callback(err)
function M:disable(plugin, callback)
  self.disabled:set(plugin.key, function(err)
    if not err then self:reschedule(plugin) end
    callback(err)
  end)
end

--- Schedules it again; one that isn't disabled stays as it is. callback(err)
function M:enable(plugin, callback)
  self.disabled:clear(plugin.key, function(err)
    if not err then self:reschedule(plugin) end
    callback(err)
  end)
end

--- Ends what runs (TERM, then KILL); callback() when nothing does.
function M:close(callback)
  if self.running == 0 then return callback() end
  self.on_idle = callback
  for _, plugin in pairs(self.plugins) do
    if type(plugin.running) ~= "boolean" and plugin.running then plugin.running:kill() end
  end
end

return M
