-- Group COREDUMP: a point for each core file that appeared since the last run, by the names
-- core.SERVICE.PID.TIME that kernel.core_pattern gives them.

local Task = require("agent.collect.task")
local uv = require("luv")

local await = Task.await

local MOST_ENTRIES = 100000
local MOST_METRICS = 1000
local BATCH = 128

local M = { name = "COREDUMP", interval = 60, rates = false }

local Coredump = {}
Coredump.__index = Coredump

--- The service and the time of a core file's name, or nil.
function M.parse(name)
  local service, at = name:match("^core%.([%w_-]+)%.%d+%.(%d+)$")
  if service and #at <= 11 and #service <= 128 then return service, tonumber(at) end
end

-- Calls visit(name) for each entry of the directory. Returns nil, or libuv's error text.
local function scan(path, visit)
  local dir, err = await(function(p, callback) return uv.fs_opendir(p, callback, BATCH) end, path)
  if not dir then return err end
  local seen = 0
  while seen < MOST_ENTRIES do
    local entries
    entries, err = await(uv.fs_readdir, dir)
    if not entries then break end
    for _, entry in ipairs(entries) do visit(entry.name) end
    seen = seen + #entries
  end
  await(uv.fs_closedir, dir)
  return err or (seen >= MOST_ENTRIES and "E2BIG: more than " .. MOST_ENTRIES .. " entries") or nil
end

-- One line when the directory becomes unreadable; a missing one is the normal case.
function Coredump:report(err)
  local code = err and Task.code(err)
  if code and code ~= "ENOENT" and code ~= self.problem then
    self.log.warning("collect", "cannot read all of the core directory", { path = self.path, error = err })
  end
  self.problem = code
end

function Coredump:collect(now)
  -- Names carry whole seconds: this run's second is looked at again by the next, less what is reported.
  local since, reported, metrics = math.floor(math.min(self.last or now - self.interval, now)), {}, {}
  local err = scan(self.path, function(name)
    local service, at = M.parse(name)
    if not service or at < since or at > now then return end
    if at >= math.floor(now) then reported[name] = true end
    if not self.reported[name] and #metrics < MOST_METRICS then
      metrics[#metrics + 1] = { name = "app.service.coredump", value = 1, tags = { service = service } }
    end
  end)
  self:report(err)
  self.last, self.reported = now, reported
  return metrics
end

function M.new(env)
  local root = (env.conf.rootfs or "/"):gsub("/+$", "")
  local self = setmetatable({
    interval = M.interval,
    log = env.log,
    path = root .. (env.conf.coredumpdir or "/home/coresave"),
    reported = {},
    task = Task.new({ name = M.name, log = env.log, deadline = env.deadline }),
  }, Coredump)
  return {
    run = function(done)
      local now = env.clock.wall()
      self.task:run(function() return self:collect(now) end, done)
    end,
    close = function() self.task:close() end,
  }
end

return M
