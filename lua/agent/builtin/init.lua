-- Builtin functions: Lua files that others wrote, run in one worker for all. Here is what must not be lost when
-- that worker dies: who runs when, who is under way, what each keeps (ctx.state), who was guilty how often.

local functions_of = require("agent.builtin.functions")
local link_of = require("agent.builtin.link")
local report = require("agent.builtin.report")
local same = require("agent.same")
local strikes = require("agent.builtin.strikes")
local wanted = require("agent.builtin.wanted")

local M = {}
M.__index = M

local DEFAULT_INTERVAL = 60
local BEAT = 1          -- seconds between the ticks that items share, so that one wake-up serves several
local OVERDUE = 5       -- seconds that an answer may be late before the worker counts as gone
local ABSENT = 1000     -- items that aren't there any more of which ctx.state is kept
local SUSPECT = 3       -- deaths of the worker that a run was there at, until it counts as guilty

--- options: conf (complete), scheduler, run (worker.client's), outcome (see agent.outcome), namespaces () → names,
--- now () → monotonic seconds, after, log, directories, user (nil: our own), state (path of a file, nil: none).
function M.new(options)
  local conf = options.conf.builtin
  local self = setmetatable({ conf = options.conf, scheduler = options.scheduler, outcome = options.outcome,
    namespaces = options.namespaces, now = options.now, after = options.after, log = options.log,
    run = options.run, user = options.user,
    items = {}, by_key = {}, in_flight = {}, loading = {}, keys = 0, restarts = 0, records = {} }, M)
  self.request = { slice = conf.slice, stuck = conf.stuck, memory = conf.memory, heap = 4 * conf.memory }
  self.directories = options.directories
  self.keep = options.state and require("agent.builtin.keep").new({ path = options.state, after = options.after,
    log = options.log, collect = function() return self:states() end })
  self.functions = functions_of.new({ directories = self.directories, request = self.request, run = self.run,
    user = self.user, log = self.log })
  return self
end

local function new_key(self)
  self.keys = self.keys + 1
  return self.keys
end

local function strike(self, item, reason)
  local pause = strikes.add(item, item.interval, self.now())
  self.log.error("builtin", "stopped by force: " .. reason,
    { builtin = item.fn, ns = item.ns, item = item.name, pause = math.floor(pause) })
end

-- The end of a run, good or bad.
local function finish(self, item, outcome)
  local done = item.done
  item.done, self.in_flight[item.key], item.suspect = nil, nil, nil
  if outcome.state then
    item.state = outcome.state ~= "" and outcome.state or nil
    if self.keep then self.keep:changed() end
  end
  if outcome.strike then
    strike(self, item, outcome.reason)
  elseif outcome.status == 0 then
    strikes.clear(item)
  end
  item.last = outcome.reason
  report(item, outcome, self.outcome, self.after)
  if done then done(outcome.status ~= 0 and { code = "builtin", message = outcome.reason } or nil) end
end

local handlers = {}

function handlers.done(self, message)
  local item = self.by_key[message[2]]
  if item and self.in_flight[item.key] then finish(self, item, message[3]) end
end

function handlers.log(self, message)
  local item = self.by_key[message[2]]
  if item then self.log[message[3]]("builtin", message[4], { builtin = item.fn, ns = item.ns, item = item.name }) end
end

function handlers.loaded(self, message) self.loading[message[2]] = nil end

function handlers.unloadable(self, message)
  local name = message[3]
  self.loading[message[2]] = nil
  self.log.error("builtin", ("%s.lua:%s %s"):format(name, message[5] and message[5] .. ":" or "", message[4]),
    { builtin = name })
end

-- The source of a version that is in force though its file is broken: a new worker needs it.
function handlers.kept(self, message)
  local one = self.functions.list[message[2]]
  if one and one.broken then one.source = message[3] end
end

function handlers.leak(self, message)
  self.expected = true
  for _, item in pairs(self.items) do
    if item.fn == message[2] then strike(self, item, "keeps too much memory between its runs") end
  end
  self.link:kill()
end

function handlers.changed(self)
  if self.settling then return end
  self.settling = self.after(0.2, function()
    self.settling = nil
    self:reload(function() end)
  end)
end

local function load_function(self, name)
  local one = self.functions.list[name]
  if not one then return end
  local key = new_key(self)
  self.loading[key] = name
  self.link:say({ "load", key = key, name = name, path = one.path, source = one.source })
end

local function tell_item(self, item)
  self.link:say({ "item", key = item.key, name = item.name, fn = item.fn, ns = item.ns, params = item.params,
    interval = item.interval, timeout = item.timeout, state = item.state })
end

local function tell_run(self, item)
  item.began = self.now()
  self.link:say({ "run", key = item.key })
end

local function in_use(self)
  local used = {}
  for _, item in pairs(self.items) do used[item.fn] = true end
  return used
end

-- A new worker knows nothing.
local function tell_all(self)
  self.loading = {}
  self.link:say({ "watch", directories = self.directories })
  for name in pairs(in_use(self)) do load_function(self, name) end
  for _, item in pairs(self.items) do tell_item(self, item) end
  for _, item in pairs(self.in_flight) do tell_run(self, item) end
end

-- Who the worker died of, as the guard wrote it.
local function guilty(self, err)
  local key, why = (err.stderr or ""):match("guard: (%d+): ([^\n]*)")
  key = tonumber(key)
  if not key then return nil end
  return self.by_key[key], why, self.loading[key]
end

-- A file that kills the worker when it is loaded is not loaded again before it changes.
local function give_up_loading(self, name, why)
  self.functions.list[name] = nil
  self.functions.bad[name] = { name = name, message = why }
  self.log.error("builtin", name .. ".lua: " .. why .. " when it is loaded", { builtin = name })
end

local function suspect_all(self)
  for _, item in pairs(self.in_flight) do
    item.suspect = (item.suspect or 0) + 1
    if item.suspect >= SUSPECT then
      finish(self, item, { status = 1, reason = "the worker died each time it ran", strike = true })
    end
  end
end

local function on_end(self, err)
  local item, why, loading = guilty(self, err)
  self.restarts = self.restarts + 1
  self.log.warning("builtin", err.message, { guilty = item and item.fn or loading, in_flight = self:count_in_flight() })
  if loading then
    give_up_loading(self, loading, why)
  elseif item and self.in_flight[item.key] then
    finish(self, item, { status = why:find("^did not") and 2 or 1, reason = why, strike = true,
      seconds = self.now() - item.began })
  elseif not self.expected then
    suspect_all(self)
    return false
  end
  self.expected = nil
  return true
end

-- A worker that doesn't answer (stopped, or hung in the kernel) is ended; who was under way runs again.
local function watch_for_overdue(self)
  self.watching = self.after(OVERDUE, function()
    watch_for_overdue(self)
    local now = self.now()
    for _, item in pairs(self.in_flight) do
      if item.began and now > item.began + item.timeout + self.conf.builtin.stuck + OVERDUE then
        self.log.error("builtin", "the worker doesn't answer", { builtin = item.fn, ns = item.ns })
        return self.link:kill()
      end
    end
  end)
end

function M:count_in_flight()
  local n = 0
  for _ in pairs(self.in_flight) do n = n + 1 end
  return n
end

local function open_link(self)
  if self.link then return end
  local memory = self.request.heap
  self.link = link_of.new({
    run = self.run, request = self.request, user = self.user, now = self.now, after = self.after, log = self.log,
    -- Beside Lua's heap: libraries, threads' stacks, one allocation too many.
    limits = { address_space = memory + 512 * 2 ^ 20, cpu_s = false, open_files = 4096 },
    on_message = function(message) handlers[message[1]](self, message) end,
    on_start = function() tell_all(self) end,
    on_end = function(err) return on_end(self, err) end,
  })
  self.link:start()
  watch_for_overdue(self)
end

local function close_link(self)
  if not self.link then return end
  self.link:close()
  self.watching:cancel()
  self.link, self.watching = nil, nil
end

-- Why an item can't run; nil when it can.
local function missing(self, item)
  if self.functions.list[item.fn] then return nil end
  local bad = self.functions.bad and self.functions.bad[item.fn]
  if bad then return ("%s.lua:%s %s"):format(item.fn, bad.line and bad.line .. ":" or "", bad.message) end
  return "there is no builtin function " .. item.fn
end

local function run_item(self, item, done)
  if item.not_before and self.now() < item.not_before then
    return done({ code = "backoff", message = "it had to be stopped by force and runs again later" })
  end
  item.done = done
  local why = missing(self, item)
  if why then return finish(self, item, { status = 1, reason = why }) end
  self.in_flight[item.key] = item
  tell_run(self, item)
end

local function interval_of(self, item)
  local one = self.functions.list[item.fn]
  local asked = item.asked or one and one.interval or DEFAULT_INTERVAL
  return math.max(asked, self.conf.agent.mininterval)
end

local function schedule(self, item)
  local interval = interval_of(self, item)
  if item.interval == interval then return false end
  if item.interval then self.scheduler:remove(item.id) end
  item.interval = interval
  item.timeout = item.limit or math.min(self.conf.builtin.timeout, math.max(1, interval - 0.5))
  self.scheduler:every(item.id, interval, function(done) run_item(self, item, done) end, BEAT)
  return true
end

local function remove(self, item)
  if item.interval then self.scheduler:remove(item.id) end
  self.items[item.id], self.by_key[item.key], self.in_flight[item.key] = nil, nil, nil
  if self.kept then self.kept[item.id] = item.state end
  if self.link then self.link:say({ "drop", key = item.key }) end
end

local function wanted_items(self)
  return wanted(self.records, self.conf.builtins, self.namespaces)
end

local function merge(self, asked)
  for id, item in pairs(self.items) do
    if not asked[id] then remove(self, item) end
  end
  local fresh = {}
  for id, new in pairs(asked) do
    local item = self.items[id]
    if not item then
      new.key = new_key(self)
      if self.kept then
        new.state, self.kept[id] = self.kept[id], nil
      end
      self.items[id], self.by_key[new.key] = new, new
      fresh[#fresh + 1] = new
    elseif item.fn ~= new.fn or item.asked ~= new.asked or item.limit ~= new.limit
      or not same(item.params, new.params) then
      if item.limit ~= new.limit and item.interval then
        self.scheduler:remove(id)
        item.interval = nil
      end
      item.fn, item.asked, item.limit, item.params = new.fn, new.asked, new.limit, new.params
      fresh[#fresh + 1] = item
    end
  end
  return fresh
end

-- Schedules, and tells the worker, what is new or changed.
local function apply_items(self)
  local before = in_use(self)
  local fresh = merge(self, wanted_items(self))
  if not next(self.items) then return close_link(self) end
  for _, item in ipairs(fresh) do schedule(self, item) end
  if not self.link then return open_link(self) end -- which tells all
  for name in pairs(in_use(self)) do
    if not before[name] then load_function(self, name) end
  end
  for _, item in ipairs(fresh) do tell_item(self, item) end
end

--- Takes over what the registry says now, and conf.builtins.
function M:apply(records)
  self.records = records or self.records
  if self.known then return apply_items(self) end
  if next(wanted_items(self)) then self:reload(function() end) end
end

--- What is kept of each item, by its id; of some that aren't there just now, too: their registry may be back later.
function M:states()
  local states, left = {}, ABSENT
  for id, item in pairs(self.items) do states[id] = item.state end
  for id, state in pairs(self.kept or {}) do
    if not self.items[id] and left > 0 then
      states[id], left = state, left - 1
    end
  end
  return states
end

-- Tells the worker of changed files, and items of changed intervals.
local function apply_change(self, change)
  local used = in_use(self)
  for _, name in ipairs(self.link and change.loaded or {}) do
    if used[name] then load_function(self, name) end
  end
  for _, name in ipairs(self.link and change.removed or {}) do self.link:say({ "forget", name = name }) end
  for _, broken in ipairs(self.link and change.broken or {}) do
    if self.functions.list[broken.name] then self.link:say({ "keep", name = broken.name }) end
  end
  for _, item in pairs(self.items) do
    if schedule(self, item) and self.link then tell_item(self, item) end
  end
end

--- Looks at the files and takes over what changed; callback(err, { loaded, removed, broken }). Calls while one is under
--- way share the next.
function M:reload(callback)
  if self.keep and not self.kept then
    return self.keep:load(function(states)
      self.kept = self.kept or states
      self:reload(callback)
    end)
  end
  self.callbacks = self.callbacks or {}
  self.callbacks[#self.callbacks + 1] = callback
  if self.updating then return end
  self.updating = true
  local callbacks = self.callbacks
  self.callbacks = nil
  self.functions:update(function(err, change)
    self.updating = nil
    if change then apply_change(self, change) end
    if not self.known then
      self.known = true
      self.functions.bad = self.functions.bad or {}
      apply_items(self)
    end
    for _, one in ipairs(callbacks) do one(err, change) end
    if self.callbacks then
      local more = self.callbacks
      self.callbacks = nil
      self:reload(function(...) for _, one in ipairs(more) do one(...) end end)
    end
  end)
end

--- For /me/status.
function M:status()
  local status = { items = 0, in_flight = self:count_in_flight(), restarts = self.restarts, functions = 0,
    pid = self.link and self.link.worker and self.link.worker:pid() or nil }
  for _, item in pairs(self.items) do
    status.items = status.items + 1
    if item.not_before and item.not_before > self.now() then
      status.paused = status.paused or {}
      status.paused[#status.paused + 1] = { ns = item.ns, name = item.name, strikes = item.strikes,
        seconds = math.floor(item.not_before - self.now()), reason = item.last }
    end
  end
  for _ in pairs(self.functions.list) do status.functions = status.functions + 1 end
  for _, bad in pairs(self.functions.bad or {}) do
    status.broken = status.broken or {}
    status.broken[#status.broken + 1] = bad
  end
  return status
end

--- Ends the worker and all schedules; callback() when what items keep is on disk.
function M:close(callback)
  for _, item in pairs(self.items) do self.scheduler:remove(item.id) end
  if self.settling then self.settling:cancel() end
  close_link(self)
  if self.keep then return self.keep:close(callback or function() end) end
  if callback then callback() end
end

return M
