-- Which namespaces this machine belongs to and what each of them asks for. A source answers with the
-- whole picture; what is wrong in it is refused item by item, a namespace that fails keeps what it had, and a
-- source that fails changes nothing. The last good answer is kept on disk. Namespaces are worked on one a turn
-- of the loop, and only those that changed.

local diff = require("agent.registry.diff")
local items_of = require("agent.registry.items")

local M = {}
M.__index = M

local SAVE_SECONDS = 600 -- an unchanged answer is written this often, for its age

--- options:
---   source     :fetch(callback(err, answer), known): answer = { namespaces = { [ns] = one }, ids? }, one =
---              { items = {…}, digest? } | { same = true, digest }, when known[ns] is its digest | { error = … }
---   cache      see cache.lua; nil for none
---   apply      (records): called after each change, and once after the first answer
---   later      (fn): calls fn in a later turn of the loop
---   now, wall  () → seconds, monotonic and unix
---   log
function M.new(options)
  return setmetatable({
    source = options.source, cache = options.cache, apply = options.apply, later = options.later, now = options.now,
    wall = options.wall, log = options.log,
    known = {}, -- ns → { records, refused, digest, text = items as the cache keeps them }
    names = {}, records = {}, refused = {}, errors = {}, ids = {}, waiting = {},
  }, M)
end

-- A namespace's items as what is known of it. What is refused is said in the log when it is new.
local function learn(self, ns, items, digest, text)
  local before = self.known[ns]
  local said, one = {}, { refused = {}, digest = digest }
  for _, refusal in ipairs(before and before.refused or {}) do said[refusal.index .. refusal.reason] = true end
  one.records = items_of.of_namespace(ns, items, function(index, name, why)
    one.refused[#one.refused + 1] = { ns = ns, index = index, name = name, reason = why }
    if not said[index .. why] then
      self.log.warning("registry", "refused: " .. why, { ns = ns, item = name, index = index })
    end
  end)
  one.text = self.cache and (text or self.cache.items_text(items))
  return one
end

local function unfit(self, ns, why)
  local before = self.known[ns]
  if not (before and before.unfit == why) then
    self.log.warning("registry", "refused: " .. why, { ns = tostring(ns) })
  end
  return { unfit = why, records = {}, refused = { { ns = tostring(ns), reason = why } } }
end

local function add_change(change, more)
  for _, kind in ipairs({ "added", "changed", "removed" }) do
    for _, key in ipairs(more[kind]) do change[kind][#change[kind] + 1] = key end
  end
end

-- All that is known, one after the other by name.
local function gather(self)
  local all, names, records, refused = {}, {}, {}, {}
  for ns in pairs(self.known) do all[#all + 1] = ns end
  table.sort(all, function(a, b) return tostring(a) < tostring(b) end)
  for _, ns in ipairs(all) do
    local one = self.known[ns]
    if not one.unfit then names[#names + 1] = ns end
    for _, record in ipairs(one.records) do records[#records + 1] = record end
    for _, refusal in ipairs(one.refused) do refused[#refused + 1] = refusal end
  end
  self.names, self.records, self.refused = names, records, refused
end

-- Makes `fresh` (ns → a function that learns it, or what is known already) all that is known; done(change, news).
local function take(self, fresh, done)
  local change = { added = {}, changed = {}, removed = {} }
  local todo, news, known = {}, false, {}
  for ns, one in pairs(self.known) do
    if fresh[ns] == nil then
      news = true
      add_change(change, diff.between(one.records, {}))
    end
  end
  for ns, one in pairs(fresh) do
    if type(one) == "function" then todo[#todo + 1] = ns else known[ns] = one end
  end
  table.sort(todo, function(a, b) return tostring(a) > tostring(b) end) -- taken from its end
  local function finish()
    self.known = known
    for _, list in pairs(change) do table.sort(list) end
    if news or not self.applied then
      gather(self)
      self.applied = true
      self.apply(self.records)
    end
    done(change, news)
  end
  local function step()
    local ns = table.remove(todo)
    if not ns then return finish() end
    local before = self.known[ns]
    known[ns] = fresh[ns]()
    local difference = diff.between(before and before.records or {}, known[ns].records)
    news = news or not before or before.unfit ~= known[ns].unfit or #before.refused + #known[ns].refused > 0
      or #difference.added + #difference.changed + #difference.removed > 0
    add_change(change, difference)
    self.later(step)
  end
  step()
end

-- The answer of a source over what is known: ns → function that learns it, or what is known already.
local function merge(self, answer)
  local fresh, errors = {}, {}
  for ns, one in pairs(answer.namespaces) do
    local before = self.known[ns]
    if one.same and before then
      fresh[ns] = before
    elseif one.error or one.same then
      local err = one.error or { code = "failed", message = "the source lost its items" }
      errors[#errors + 1] = { ns = ns, code = err.code, message = err.message }
      self.log.warning("registry", "no items; what was known stays", { ns = ns, code = err.code, reason = err.message })
      fresh[ns] = before or function() return learn(self, ns, {}) end
    else
      local why = items_of.unfit(ns, one.items)
      fresh[ns] = function()
        if why then return unfit(self, ns, why) end
        return learn(self, ns, one.items, one.digest)
      end
    end
  end
  table.sort(errors, function(a, b) return a.ns < b.ns end)
  return fresh, errors
end

local function save(self)
  local namespaces = {}
  for i, ns in ipairs(self.names) do namespaces[i] = { ns, self.ids[ns], self.known[ns].text } end
  self.saved_at = self.good_at
  self.cache:save({ saved = math.floor(self.good_at), namespaces = namespaces }, function(err)
    if err then self.log.warning("registry", "the last good answer can't be kept on disk", { reason = err.message }) end
  end)
end

local function accept(self, answer, done)
  local fresh, errors = merge(self, answer)
  take(self, fresh, function(change, news)
    local stale = self.from_cache
    self.errors, self.ids, self.from_cache, self.good_at = errors, answer.ids or {}, false, self.wall()
    if self.cache and (news or stale or not self.saved_at or self.good_at - self.saved_at >= SAVE_SECONDS) then
      save(self)
    end
    change.refused, change.errors = self.refused, errors
    done(change)
  end)
end

-- The state of the cache as `fresh` of take().
local function restored(self, state)
  local fresh, ids = {}, {}
  for _, one in ipairs(state.namespaces) do
    local ns, id, text = one[1], one[2], one[3]
    ids[ns] = id
    fresh[ns] = function()
      local items = self.cache.text_items(text)
      local why = items_of.unfit(ns, items)
      if why then return unfit(self, ns, why) end
      return learn(self, ns, items, nil, text)
    end
  end
  return fresh, ids
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
    local fresh, ids = restored(self, state)
    take(self, fresh, function()
      self.from_cache, self.good_at, self.ids = true, state.saved, ids
      self.log.info("registry", "working from the last good answer", { age_s = math.floor(self:age()) })
      callback(true)
    end)
  end)
end

local function digests(self)
  local known = {}
  for ns, one in pairs(self.known) do known[ns] = one.digest end
  return known
end

--- Asks the source and applies its answer; callback(err, change): change = { added, changed, removed (arrays of
--- "NS TYPE NAME"), refused, errors (arrays of tables), seconds }. Calls while one is under way share it.
function M:update(callback)
  self.waiting[#self.waiting + 1] = callback
  if #self.waiting > 1 then return end
  local began = self.now()
  local function answer_all(err, change)
    self.last_error = err
    local waiting = self.waiting
    self.waiting = {}
    for _, answer in ipairs(waiting) do answer(err, change) end
  end
  self.source:fetch(function(err, answer)
    if err then
      self.log.error("registry", "no answer; what was known stays", { code = err.code, reason = err.message })
      return answer_all(err)
    end
    accept(self, answer, function(change)
      change.seconds = self.now() - began
      answer_all(nil, change)
    end)
  end, digests(self))
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
