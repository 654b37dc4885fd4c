-- What happens in one run, all of it from the seed: the settings, and the events on five tracks. Two events of one
-- track never overlap, those of different tracks do.

local bit = require("bit")

local M = {}

local GOLDEN = 0x9E3779B97F4A7C15ULL

local function mixed(z)
  z = bit.bxor(z, bit.rshift(z, 30)) * 0xBF58476D1CE4E5B9ULL
  z = bit.bxor(z, bit.rshift(z, 27)) * 0x94D049BB133111EBULL
  return bit.bxor(z, bit.rshift(z, 31))
end

-- SplitMix64: the numbers are the same everywhere, and nobody else draws from it. Its beginning is mixed, too, lest
-- neighbouring seeds tell the same story one step apart.
local function generator(seed)
  local state = mixed(GOLDEN * seed)
  return function()
    state = state + GOLDEN
    return tonumber(bit.rshift(mixed(state), 11)) / 2 ^ 53
  end
end

local FLUTTER = 0.3 -- how often an event is a row of short ones

local tracks = {
  { share = 0.85, longest = 2.5, { "nsqd is killed", 2 }, { "nsqd is stopped", 1 }, { "nsqd is frozen", 2 } },
  { share = 0.75, longest = 0.8, { "the agent is killed", 3 }, { "the agent is stopped", 1 } },
  { share = 0.6, longest = 2.5, { "the disk is full", 1 }, { "the disk is read-only", 1 } },
  { share = 0.6, longest = 2.5, { "the cable is out at the agent", 1 }, { "the cable is out at nsqd", 1 } },
  { share = 0.4, longest = 3, { "the clock is set forward", 1 }, { "the clock is set back", 1 } },
}

local function pick(random, list)
  local sum = 0
  for _, one in ipairs(list) do sum = sum + (one[2] or 1) end
  local at = random() * sum
  for _, one in ipairs(list) do
    at = at - (one[2] or 1)
    if at < 0 then return one[1] end
  end
  return list[#list][1]
end

local function add(events, at, what, lasts, seconds)
  lasts = math.min(lasts, seconds - at)
  if lasts > 0.02 then events[#events + 1] = { at = at, what = what, lasts = lasts } end
  return at + lasts
end

-- The same again and again, shortly: so that it hits what has just begun to recover.
local function flutter(random, at, what, seconds, events)
  for _ = 1, 3 + random() * 4 do
    at = add(events, at, what, 0.05 + random() * 0.15, seconds) + 0.05 + random() * 0.35
  end
  return at
end

local function on_track(random, track, seconds, events)
  local at = 0.3 + random() * seconds / 2
  while at < seconds - 0.3 do
    local what = pick(random, track)
    if random() < FLUTTER then
      at = flutter(random, at, what, seconds, events)
    else
      at = add(events, at, what, 0.05 + random() ^ 2 * track.longest, seconds)
    end
    at = at + 0.2 + random() * seconds / 2
  end
end

--- The story of a seed: { seed, seconds, protocol, ack, maxmemory, disk (bytes), topics, clock (seconds that it is set
--- by), events = { { at, lasts, what } … } in the order of their beginning }.
function M.make(seed, seconds)
  local random = generator(seed)
  local story = {
    seed = seed, seconds = seconds, events = {},
    protocol = pick(random, { { "tcp", 3 }, { "http", 1 } }),
    ack = pick(random, { { 0.5 }, { 1 }, { 2 } }),
    maxmemory = pick(random, { { 65536 }, { 262144 }, { 4194304 } }),
    disk = pick(random, { { 262144 }, { 2097152 }, { 67108864 } }),
    topics = pick(random, { { 1 }, { 2 }, { 5 } }),
    clock = pick(random, { { 2 }, { 3600 }, { 86400 * 30 } }),
  }
  for _, track in ipairs(tracks) do
    if random() < track.share then on_track(random, track, seconds, story.events) end
  end
  table.sort(story.events, function(a, b) return a.at < b.at end)
  return story
end

--- The story as lines for a person.
function M.tell(story)
  local lines = { ("seed %d: nsqd over %s, ack %g s, maxmemory %d KiB, disk %d KiB, %d topics"):format(story.seed,
    story.protocol, story.ack, story.maxmemory / 1024, story.disk / 1024, story.topics) }
  for _, event in ipairs(story.events) do
    lines[#lines + 1] = ("%6.2f s: %s, for %.2f s%s"):format(event.at, event.what, event.lasts,
      event.skipped and " (skipped: " .. event.skipped .. ")" or "")
  end
  return table.concat(lines, "\n")
end

return M
