-- Plugins that a person switched off: a marker on disk each (worker plugins), so that it holds across restarts, and
-- on again after agent.autoenable by the wall clock, however long the agent was down meanwhile.

local M = {}
M.__index = M

local LONGEST_WAIT = 600 -- seconds between looks at the clock, which may be set

--- options: run (agent.worker.client.run), conf (conf.agent), wall () → unix seconds, after, log,
--- expired (name): called when a plugin is enabled again by time.
function M.new(options)
  return setmetatable({ run = options.run, conf = options.conf, wall = options.wall, after = options.after,
    log = options.log, expired = options.expired, since = {} }, M)
end

local watch

-- A marker from the future (the clock was set back) counts from now.
local function expire(self)
  local now, next_look = self.wall(), nil
  for name, since in pairs(self.since) do
    local left = since - now + self.conf.autoenable
    if since > now then self.since[name], left = now, self.conf.autoenable end
    if left <= 0 then
      self:clear(name, function(err)
        if err then
          return self.log.error("plugin", "cannot be enabled again", { plugin = name, reason = err.message })
        end
        self.log.warning("plugin", "enabled again after agent.autoenable", { plugin = name })
        self.expired(name)
      end)
      left = LONGEST_WAIT
    end
    next_look = math.min(next_look or LONGEST_WAIT, left)
  end
  return next_look
end

function watch(self)
  if self.timer then self.timer:cancel() end
  local seconds = expire(self)
  self.timer = seconds and self.after(seconds, function()
    self.timer = nil
    watch(self)
  end)
end

--- Takes over what is on disk: name → unix seconds of its disabling.
function M:restore(since)
  self.since = since
  watch(self)
end

function M:has(name)
  return self.since[name] ~= nil
end

--- Marks a plugin ("NS|PROJECT") as disabled from now on; callback(err). Nothing changes on an error.
function M:set(name, callback)
  self.run("plugins", { op = "disable", dir = self.conf.pluginsdir, name = name }, {}, function(err)
    if not err then
      self.since[name] = self.wall()
      watch(self)
    end
    callback(err)
  end)
end

--- Takes the mark away; callback(err).
function M:clear(name, callback)
  self.run("plugins", { op = "enable", dir = self.conf.pluginsdir, name = name }, {}, function(err)
    if not err then self.since[name] = nil end
    callback(err)
  end)
end

return M
