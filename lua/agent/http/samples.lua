-- The last samples, for /metrics. What costs nothing is always kept: the bytes that a system group has
-- just published, which replace those before them. Everything else (of checks and plugins, posted) is kept by series,
-- and only while somebody scrapes. All of it goes with the thing: what isn't published any more
-- expires.

local M = {}
M.__index = M

local SCRAPED_SECONDS = 600 -- so long after a scrape the next is expected
local STALE_SECONDS = 900   -- at least; three of its own intervals where those are longer
local ONCE_SECONDS = 3600   -- of what came only once
local MAX_SERIES = 20000
local MAX_QUEUE, TURN = 2 ^ 20, 32 * 1024 -- bytes of bodies that wait to be looked at; of one turn

--- options: now () → monotonic seconds; later (fn).
function M.new(options)
  return setmetatable({ now = options.now, later = options.later, sources = {}, series = {}, count = 0, queue = {},
    first = 1, last = 0, bytes = 0, skipped = 0, until_s = -math.huge }, M)
end

-- Needed when somebody scrapes.
local function reader()
  return require("agent.http.points")
end

local function keep_source(self, source, bodies)
  local now = self.now()
  local known = self.sources[source]
  if not known then
    known = { at = now, spacing = 0 }
    self.sources[source] = known
  end
  known.spacing, known.at = now - known.at, now
  known.bodies = bodies
end

local function sorted_tags(tags)
  local names = {}
  for name in pairs(tags) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = name .. "\1" .. tags[name] end
  return table.concat(names, "\1")
end

local function keep_point(self, ns, text, now)
  local name, value, tags = reader().parse(text)
  if not name then return end
  local key = ns .. "\0" .. name .. "\0" .. sorted_tags(tags)
  local one = self.series[key]
  if not one then
    if self.count >= MAX_SERIES then
      self.skipped = self.skipped + 1
      return
    end
    one = { ns = ns, name = name, tags = tags, at = now, spacing = 0 }
    self.series[key] = one
    self.count = self.count + 1
  end
  one.spacing, one.at, one.value = now - one.at, now, value
end

local function stale(one, now)
  local patience = one.spacing > 0 and math.max(STALE_SECONDS, 3 * one.spacing) or ONCE_SECONDS
  return now - one.at > patience
end

local function expire(self)
  local now = self.now()
  for source, one in pairs(self.sources) do
    if stale(one, now) then self.sources[source] = nil end
  end
  for key, one in pairs(self.series) do
    if stale(one, now) then
      self.series[key] = nil
      self.count = self.count - 1
    end
  end
end

-- A few bodies a turn of the loop: a large post has many.
local function digest(self)
  local now, left = self.now(), TURN
  while self.first <= self.last and left > 0 do
    local one = self.queue[self.first]
    self.queue[self.first] = nil
    self.first = self.first + 1
    self.bytes, left = self.bytes - #one.body, left - #one.body
    for text in reader().each(one.body) do keep_point(self, one.ns, text, now) end
  end
  self.digesting = self.first <= self.last
  if self.digesting then self.later(function() digest(self) end) end
end

local function put(self, ns, body)
  if self.bytes + #body > MAX_QUEUE then
    self.skipped = self.skipped + 1
    return
  end
  self.last = self.last + 1
  self.queue[self.last] = { ns = ns, body = body }
  self.bytes = self.bytes + #body
end

--- Takes note of what is published: bodies under namespaces. `source` names the group or check that all of them
--- are from, nil for everything else.
function M:offer(namespaces, bodies, source)
  if source then return keep_source(self, source, bodies) end
  if self.now() > self.until_s then
    if self.count > 0 then self.series, self.count = {}, 0 end
    return
  end
  for _, body in ipairs(bodies) do put(self, namespaces[1], body) end
  if self.first <= self.last and not self.digesting then
    self.digesting = true
    self.later(function() digest(self) end)
  end
end

--- Somebody scrapes: from now on everything is kept for a while. Calls visit(name, value, tags, ns) for every
--- sample, with turns of the loop in between; ns is nil for what the whole machine has. Then done().
function M:scrape(visit, done)
  self.until_s = self.now() + SCRAPED_SECONDS
  expire(self)
  local work = {}
  for _, source in pairs(self.sources) do
    for _, body in ipairs(source.bodies) do work[#work + 1] = { body = body } end
  end
  for _, one in pairs(self.series) do work[#work + 1] = one end
  local at = 0
  local function go_on()
    for _ = 1, 200 do
      at = at + 1
      local one = work[at]
      if not one then return done() end
      if not one.body then
        visit(one.name, one.value, one.tags, one.ns)
      else
        for text in reader().each(one.body) do
          local name, value, tags = reader().parse(text)
          if name then visit(name, value, tags) end
        end
        break
      end
    end
    return self.later(go_on)
  end
  go_on()
end

return M
