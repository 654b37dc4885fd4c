-- Group KERNEL: who logged in, who tried to. Reads what was appended to wtmp and btmp since the last run.

local Task = require("agent.collect.task")
local uv = require("luv")
local utmp = require("host.utmp")

local await = Task.await

-- A brute force attack of 100 tries a second fills 11 MiB in 300 s: the newest MiB is read, the rest counted.
local MOST = 1024 * 1024 - 1024 * 1024 % utmp.record_size
local CHUNK = 128 * utmp.record_size

local M = { name = "KERNEL", interval = 300, rates = false, also = "security.monitor.loda" }

local Kernel = {}
Kernel.__index = Kernel

local files = {
  { path = "/var/log/wtmp", kind = "logins", value = 1, success = "true" },
  { path = "/var/log/btmp", kind = "failures", value = 0, success = "false" },
}

local function metric_of(login, file)
  return {
    name = "kernel.user.login",
    value = file.value,
    timestamp = login.time,
    -- The router drops a point with an empty tag (contracts.md, Appendix A 11).
    tags = {
      user = login.user ~= "" and login.user or "-",
      device = login.device ~= "" and login.device or "-",
      remote = login.remote ~= "" and login.remote or "local",
      success = file.success,
    },
  }
end

-- Reads the records in [low, high) from the end backwards, in chunks, until one is older than `since`.
-- Returns the logins chunk by chunk, newest chunk first.
local function read_back(fd, low, high, kind, since)
  local chunks = {}
  while high > low do
    local at = math.max(low, high - CHUNK)
    local bytes, err = await(uv.fs_read, fd, high - at, at)
    if not bytes then return nil, err end
    local logins, first = utmp.logins(bytes, kind, since)
    chunks[#chunks + 1] = logins
    if first and first < since then break end
    high = at
  end
  return chunks
end

-- In the file's order; of those that would be one point anyway (same second, same tags) only the first.
local function emit(metrics, chunks, file)
  local seen = {}
  for i = #chunks, 1, -1 do
    for _, login in ipairs(chunks[i]) do
      local key = login.time .. "\0" .. login.user .. "\0" .. login.device .. "\0" .. login.remote
      if not seen[key] then
        seen[key] = true
        metrics[#metrics + 1] = metric_of(login, file)
      end
    end
  end
end

-- The same file as last time, only longer: same inode, and the record before our place is still there.
-- (An inode number is soon used again; logrotate's copytruncate keeps it.)
local function is_continued(fd, stat, place)
  if not place.offset or stat.ino ~= place.ino or stat.size < place.offset then return false end
  if place.offset == 0 then return true end
  return await(uv.fs_read, fd, #place.last, place.offset - #place.last) == place.last
end

local function skipped(self, file, bytes)
  self.log.warning("collect", "more login records than one run reads; the oldest were skipped",
    { file = file.path, records = bytes / utmp.record_size })
end

-- Reads from `from` to the last whole record of an open file. Returns that place's offset, or nil, error.
function Kernel:read_from(fd, size, from, since, file, metrics)
  local whole = size - size % utmp.record_size
  local low = math.max(from, whole - MOST)
  local chunks, err = read_back(fd, low, whole, file.kind, since)
  if not chunks then return nil, err end
  if since == 0 and low > from then skipped(self, file, low - from) end
  emit(metrics, chunks, file)
  return whole
end

local function open(path)
  -- Not blocking, for somebody may have put a pipe there.
  local fd, err = await(uv.fs_open, path, uv.constants.O_RDONLY + uv.constants.O_NONBLOCK, 0)
  if not fd then return nil, err end
  local stat, why = await(uv.fs_fstat, fd)
  if stat and stat.type == "file" then return fd, stat end
  await(uv.fs_close, fd)
  return nil, why or "EINVAL: not a regular file"
end

-- What was written to the old file between our last run and its rotation.
function Kernel:read_rotated(file, place, metrics)
  if not place.offset then return end
  local fd, stat = open(self.root .. file.path .. ".1")
  if not fd then return end
  if is_continued(fd, stat, place) then
    self:read_from(fd, stat.size, place.offset, 0, file, metrics)
  end
  await(uv.fs_close, fd)
end

-- One line when a file becomes unreadable, not one each run; a missing one is no fault.
function Kernel:unreadable(file, place, err)
  local code = err and Task.code(err)
  if code and code ~= "ENOENT" and place.problem ~= code then
    self.log.warning("collect", "cannot read the login records", { file = file.path, error = err })
  end
  place.problem = code
end

function Kernel:read_open(fd, stat, file, place, metrics)
  local from, since = place.offset, 0
  if not is_continued(fd, stat, place) then
    self:read_rotated(file, place, metrics)
    from, since = 0, math.floor(place.at)
  end
  local offset, err = self:read_from(fd, stat.size, from, since, file, metrics)
  if not offset then return err end
  place.ino, place.offset, place.last = stat.ino, offset, ""
  if offset > 0 then
    place.last = await(uv.fs_read, fd, utmp.record_size, offset - utmp.record_size) or ""
  end
end

function Kernel:read_file(file, now, metrics)
  local place = self.places[file.path] or { at = now - self.interval }
  self.places[file.path] = place
  local fd, stat = open(self.root .. file.path)
  if not fd then
    self:unreadable(file, place, stat)
    if Task.code(stat) == "ENOENT" then place.at = now end
    return
  end
  local err = self:read_open(fd, stat, file, place, metrics)
  await(uv.fs_close, fd)
  self:unreadable(file, place, err)
  if not err then place.at = now end
end

--- done(metrics, err), later: the files are read in the thread pool.
function Kernel:run(done)
  local now = self.clock.wall()
  self.task:run(function()
    local metrics = {}
    for _, file in ipairs(files) do self:read_file(file, now, metrics) end
    return metrics
  end, done)
end

function Kernel:close()
  self.task:close()
end

function M.new(env)
  local self = setmetatable({
    interval = M.interval,
    also = M.also,
    clock = env.clock,
    log = env.log,
    root = (env.conf.rootfs or "/"):gsub("/+$", ""),
    places = {},
    task = Task.new({ name = M.name, log = env.log, deadline = env.deadline }),
  }, Kernel)
  return { also = M.also, run = function(done) self:run(done) end, close = function() self:close() end }
end

return M
