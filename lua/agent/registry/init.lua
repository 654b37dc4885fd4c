-- Which namespaces this machine belongs to and what each of them asks for. A source answers with the
-- whole picture; what is wrong in it is refused item by item, a namespace that fails keeps what it had, and a
-- source that fails changes nothing. The last good answer is kept on disk.

local diff = require("agent.registry.diff")
local items = require("agent.registry.items")

local M = {}
M.__index = M

--- options:
---   source     :fetch(callback(err, answer), known): answer = { namespaces = { [ns] = one }, ids? }, one =
---              { items = {…}, digest? } | { same = true, digest }, when known[ns] is its digest | { error = … }
---   cache      :load(callback(err, state)), :save(state, callback); nil for none (see cache.lua)
---   apply      (records): called after each change, and once after the first answer
---   now, wall  () → seconds, monotonic and unix
---   log
function M.new(options)
  return setmetatable({
    source = options.source, cache = options.cache, apply = options.apply, now = options.now, wall = options.wall,
    log = options.log, raw = {}, names = {}, records = {}, refused = {}, errors = {}, ids = {}, waiting = {},
  }, M)
end

local function report_refusal(self, ns, index, name, why)
  local one = { ns = ns, index = index, name = name, reason = why }
  self.refused[#self.refused + 1] = one
  local known = self.reported[ns .. "\0" .. (index or "") .. "\0" .. why]
  self.reporting[ns .. "\0" .. (index or "") .. "\0" .. why] = true
  if not known then
    self.log.warning("registry", "refused: " .. why, { ns = ns, item = name, index = index })
  end
end

-- Makes records of all raw items. What was refused is said in the log when it is new.
local function normalise(self, raw)
  local names, records = {}, {}
  self.reported, self.reporting, self.refused = self.reporting or {}, {}, {}
  for ns in pairs(raw) do names[#names + 1] = ns end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  local good = {}
  for _, ns in ipairs(names) do
    local why = items.unfit(ns, raw[ns])
    if why then
      report_refusal(self, tostring(ns), nil, nil, why)
    else
      good[#good + 1] = ns
      for _, record in ipairs(items.of_namespace(ns, raw[ns], function(...) report_refusal(self, ns, ...) end)) do
        records[#records + 1] = record
      end
    end
  end
  return good, records
end

local function list_changed(a, b)
  return table.concat(a, "\0") ~= table.concat(b, "\0")
end

-- Takes over a raw answer; returns the diff.
local function take(self, raw)
  local names, records = normalise(self, raw)
  local change = diff.between(self.records, records)
  local news = #change.added + #change.changed + #change.removed > 0 or list_changed(names, self.names)
  self.raw, self.names, self.records = raw, names, records
  if news or not self.applied then
    self.applied = true
    self.apply(records)
  end
  return change, news
end

-- The answer of a source over what is known: a namespace that failed keeps its items, one that is the same has
-- not sent them again.
local function merge(self, answer)
  local raw, errors = {}, {}
  self.digests = {}
  for ns, one in pairs(answer.namespaces) do
    self.digests[ns] = one.digest
    if one.same then
      raw[ns] = self.raw[ns]
    elseif one.error then
      errors[#errors + 1] = { ns = ns, code = one.error.code, message = one.error.message }
      self.log.warning("registry", "no items; what was known stays",
        { ns = ns, code = one.error.code, reason = one.error.message })
      raw[ns] = self.raw[ns] or {}
    else
      raw[ns] = one.items
    end
  end
  table.sort(errors, function(a, b) return a.ns < b.ns end)
  return raw, errors
end

local function save(self)
  if not self.cache then return end
  self.cache:save({ saved = self.good_at, namespaces = self.raw, ids = self.ids }, function(err)
    if err then self.log.warning("registry", "the last good answer can't be kept on disk", { reason = err.message }) end
  end)
end

local function accept(self, answer)
  local raw, errors = merge(self, answer)
  self.errors, self.ids = errors, answer.ids or {}
  local change, news = take(self, raw)
  local stale = self.from_cache
  self.from_cache, self.good_at = false, self.wall()
  if news or stale or not self.saved_at or self.good_at - self.saved_at >= 600 then
    self.saved_at = self.good_at
    save(self)
  end
  change.refused, change.errors = self.refused, errors
  return change
end

--- Takes over the last good answer from disk, where there is one; callback(found).
function M:restore(callback)
  if not self.cache then return callback(false) end
  self.cache:load(function(err, state)
    if err then
      if err.code ~= "ENOENT" then
        self.log.warning("registry", "the last good answer on disk is of no use", { reason = err.message })
      end
      return callback(false)
    end
    self.from_cache, self.good_at, self.ids = true, state.saved, state.ids or {}
    take(self, state.namespaces)
    self.log.info("registry", "working from the last good answer", { age_s = math.floor(self:age()) })
    callback(true)
  end)
end

--- Asks the source and applies its answer; callback(err, change): change = { added, changed, removed (arrays of
--- "NS TYPE NAME"), refused, errors (arrays of tables), seconds }. Calls while one is under way share it.
function M:update(callback)
  self.waiting[#self.waiting + 1] = callback
  if #self.waiting > 1 then return end
  local began = self.now()
  self.source:fetch(function(err, answer)
    local change
    if err then
      self.log.error("registry", "no answer; what was known stays", { code = err.code, reason = err.message })
    else
      change = accept(self, answer)
      change.seconds = self.now() - began
    end
    self.last_error = err
    local waiting = self.waiting
    self.waiting = {}
    for _, answer_to in ipairs(waiting) do answer_to(err, change) end
  end, self.digests)
end

--- The machine's namespaces, sorted; not to be changed.
---@return string[]
function M:namespaces()
  return self.names
end

--- Seconds since the answer that is in force was given; nil before the first.
function M:age()
  return self.good_at and math.max(0, self.wall() - self.good_at)
end

--- The interval in seconds that items of a system group ask for, the shortest of all namespaces; nil when none does.
function M:interval(kind)
  local shortest
  for _, record in ipairs(self.records) do
    if record.type == kind and record.interval and (not shortest or record.interval < shortest) then
      shortest = record.interval
    end
  end
  return shortest
end

--- For /me/status.
function M:status()
  return {
    age = self.good_at and math.floor(self:age()), from_cache = self.from_cache or nil, items = #self.records,
    last_error = self.last_error and self.last_error.message,
    errors = self.errors[1] and self.errors, refused = self.refused[1] and self.refused,
  }
end

return M
