-- Messages on disk that the output does not take: written in groups with one sync, read again oldest first. What is
-- in the directory is what counts: after any failure it is read anew.

local M = {}
M.__index = M

local COMMIT_BYTES = 1024 * 1024  -- of one write
local SEGMENT_BYTES = 1024 * 1024 -- a file that has so many is full
local FILES_MAX = 8192
local FIRST_PAUSE, LONGEST_PAUSE = 1, 30 -- seconds after a failure
local GRACE = 3600 -- seconds that a file found at the start is kept at least, however old the clock says that it is
local EIO_SECONDS = 60 -- that a file may not be readable before it is put away
local OVERHEAD = 4096 -- what a file may occupy beyond its bytes

--- options: directory, max_bytes, max_age (seconds), disk (disk.lua), now () → monotonic seconds, wall () → unix
--- seconds, random () → [0, 1), log, dropped(reason, messages): tells of what is dropped to keep the bounds, and, for
--- specs, store (host.spool). Touches nothing before it is asked.
function M.new(options)
  local host = options.host or require("host.spool")
  return setmetatable({
    directory = options.directory, max_bytes = options.max_bytes, max_age = options.max_age, disk = options.disk,
    now = options.now, wall = options.wall, random = options.random or math.random, log = options.log,
    dropped = options.dropped, host = host, store = host.new(options.directory),
    files = {},    -- { number, created, size, age, seen, messages | nil, sent | nil }, oldest first
    bytes = 0, waiting = {}, waiting_bytes = 0, pause = 0, retry_at = 0, quarantined = 0, spooled = 0,
  }, M)
end

local function failed(self, err)
  self.ready, self.current = false, nil
  self.pause = math.min(LONGEST_PAUSE, math.max(FIRST_PAUSE, self.pause * 2))
  self.retry_at = self.now() + self.pause * (0.5 + self.random() / 2)
  if not self.last_error or self.last_error.code ~= err.code then
    self.log.error("spool", "the spool can't be used; messages stay in memory",
      { directory = self.directory, code = err.code, reason = err.message })
  end
  self.last_error = { code = err.code, message = err.message, time = self.wall() }
end

local function worked(self)
  self.pause = 0
  if self.last_error then self.log.info("spool", "the spool can be used again", { directory = self.directory }) end
  self.last_error = nil
end

--- Whether it is worth asking it for something now.
function M:usable()
  return not self.closed and not self.disk.hung and self.now() >= self.retry_at
end

local function occupied(file)
  return math.ceil(file.size / OVERHEAD) * OVERHEAD
end

local function count(self, file, size)
  self.bytes = self.bytes - occupied(file)
  file.size = size
  self.bytes = self.bytes + occupied(file)
end

--- Seconds that the messages of a file have waited at least. A clock that is set makes nothing older at once.
local function age_of(self, file)
  return file.age + self.now() - file.seen
end

-- The clock may have been wrong before a start, or be wrong now, until somebody sets it; and what is old shall have a
-- chance to be delivered.
local function expired(self, file)
  return age_of(self, file) > self.max_age and self.now() - file.seen > math.min(GRACE, self.max_age)
end

-- Takes over what the directory has; what is known of files already stays.
local function index(self, found)
  local known = {}
  for _, file in ipairs(self.files) do known[file.number] = file end
  self.files, self.bytes, self.more = {}, 0, found.more
  local wall, now = self.wall(), self.now()
  for i, one in ipairs(found) do
    local file = known[one.number] or { number = one.number, created = one.created, seen = now,
      age = math.max(0, math.min(wall - one.created, wall - one.modified)) }
    file.size = one.size
    self.files[i] = file
    self.bytes = self.bytes + occupied(file)
  end
  self.next_number = math.max(self.next_number or 1, #found > 0 and found[#found].number + 1 or 1)
  self.bad = found.bad
  if found.put_away > 0 then
    self.quarantined = self.quarantined + found.put_away
    self.log.error("spool", "files that are not the spool's were put away", { directory = self.directory .. "/bad",
      files = found.put_away })
  end
end

local function answer(list, err)
  for _, callback in ipairs(list) do callback(err) end
end

--- Takes the lock and reads what is there, unless it has; callback(err).
function M:open(callback)
  if self.ready then return callback() end
  if self.opening then
    self.opening[#self.opening + 1] = callback
    return
  end
  self.opening = { callback }
  self.disk:run(function(answered) self.store:open(answered) end, function(err, found)
    local list = self.opening
    self.opening = nil
    if err then
      failed(self, err)
      return answer(list, err)
    end
    self.ready, self.current = true, nil
    index(self, found)
    answer(list)
  end)
end

local function forget(self, file)
  for i, other in ipairs(self.files) do
    if other == file then
      table.remove(self.files, i)
      self.bytes = self.bytes - occupied(file)
      break
    end
  end
  if self.current == file then self.current = nil end
end

-- Removes a file whose messages are lost, unless they are delivered already; callback(err).
local function drop_file(self, file, reason, callback)
  self.disk:run(function(answered) self.store:remove(file.number, file.created, true, answered) end,
    function(err, messages)
      if err then return callback(err) end
      forget(self, file)
      if not file.sent then self.dropped(reason, messages) end
      callback()
    end)
end

-- What has to go before `more` bytes come: a file and the reason; nil when all is within bounds.
local function surplus(self, more)
  for _, file in ipairs(self.files) do
    if not file.reading then
      if expired(self, file) then return file, "spool_age" end
      if self.bytes + more > self.max_bytes or #self.files >= FILES_MAX then return file, "spool_full" end
      return nil
    end
  end
end

local function make_room(self, more, callback)
  if more > self.max_bytes then return callback({ code = "EFBIG", message = "larger than the spool may be" }) end
  local file, reason = surplus(self, more)
  if not file then return callback() end
  drop_file(self, file, reason, function(err)
    if err then return callback(err) end
    make_room(self, more, callback)
  end)
end

local function take_group(self)
  local writer, group, messages = self.writer or self.host.writer(), {}, 0
  self.writer = writer
  while self.waiting[1] and (writer:size() == 0 or writer:size() + self.waiting[1].batch.bytes <= COMMIT_BYTES) do
    local job = table.remove(self.waiting, 1)
    for _, message in ipairs(job.batch.messages) do
      local added, why, code = writer:add(job.batch.topic, message[1], message[2])
      if not added then job.failure = { code = code, message = why } end
    end
    messages = messages + #job.batch.messages
    group[#group + 1] = job
  end
  return group, messages
end

local function new_file(self)
  local file = { number = self.next_number, created = math.max(0, math.floor(self.wall())), size = 0, age = 0,
    seen = self.now(), messages = 0, fresh = true }
  self.next_number = self.next_number + 1
  return file
end

local flush

local function committed(self, group, messages, file, err, size)
  self.committing = false
  if err and err.code == "ESTALE" then -- somebody meddled with the file we append to
    self.current = nil
    for i = #group, 1, -1 do table.insert(self.waiting, 1, group[i]) end
    return flush(self)
  end
  if err then
    failed(self, err)
  else
    worked(self)
    if file.fresh then
      file.fresh = nil
      self.files[#self.files + 1] = file
    end
    count(self, file, size)
    file.messages = file.messages and file.messages + messages
    self.spooled = self.spooled + messages
    self.current = not file.reading and size < SEGMENT_BYTES and file or nil
  end
  for _, job in ipairs(group) do job.done(err or job.failure) end
  flush(self)
end

local function commit(self)
  local group, messages = take_group(self)
  local writer = self.writer
  if writer:size() == 0 then -- nothing of it can be written
    self.committing = false
    for _, job in ipairs(group) do job.done(job.failure) end
    return flush(self)
  end
  make_room(self, writer:size() + OVERHEAD, function(why)
    if why then
      self.writer = nil
      return committed(self, group, messages, nil, why)
    end
    local file = self.current or new_file(self)
    self.disk:run(function(answered)
      self.store:commit(file.number, file.created, file.size, writer, answered)
    end, function(err, size) committed(self, group, messages, file, err, size) end)
  end)
end

function flush(self)
  if self.committing or not self.waiting[1] then return end
  self.committing = true
  self:open(function(err)
    if not err then return commit(self) end
    self.committing = false
    local jobs = self.waiting
    self.waiting = {}
    for _, job in ipairs(jobs) do job.done(err) end
  end)
end

--- Writes a batch { topic, messages = { { head, body } … }, bytes }; done(err) once, when it is safe or can't be.
--- What comes while a write is under way goes with the next one.
function M:write(batch, done)
  self.waiting[#self.waiting + 1] = { batch = batch, done = done }
  flush(self)
end

local function put_away(self, file, why, callback)
  if not file.unreadable then self.quarantined = self.quarantined + 1 end
  self.log.error("spool", "a file was put away", { directory = self.directory .. "/bad", number = file.number,
    reason = why })
  self.disk:run(function(answered) self.store:put_away(file.number, file.created, answered) end, function(err)
    file.unreadable = err and why or nil -- at least it isn't read again
    if not err then forget(self, file) end
    callback(err)
  end)
end

local function oldest(self)
  for _, file in ipairs(self.files) do
    if not file.sent and not file.unreadable then return file end
  end
end

-- What should have gone long since, when the disk let nothing go; callback(err).
local function clear(self, callback)
  local file = self.files[1]
  if not file or file.reading then return callback() end
  local function cleared(err)
    if err then
      failed(self, err)
      return callback(err)
    end
    clear(self, callback)
  end
  if file.unreadable then return put_away(self, file, file.unreadable, cleared) end
  drop_file(self, file, nil, cleared)
end

--- Whether there may be something to be read, or removed.
function M:has_files()
  return not self.ready or self.more or self.files[1] ~= nil
end

-- What isn't ours is put away at once; a disk that can't read gets time to recover.
local function unreadable(self, file, err, callback)
  local now = self.now()
  file.failed = file.failed or now
  if err.code == "ENOENT" then
    forget(self, file)
    self.log.error("spool", "a file has vanished", { directory = self.directory, number = file.number })
    return self:read(callback)
  end
  local hopeless = err.code == "EIO" and now - file.failed > EIO_SECONDS
  if err.code == "EBADMSG" or err.code == "EPROTO" or hopeless then
    return put_away(self, file, err.message, function(why)
      if why then return callback(why) end
      self:read(callback)
    end)
  end
  failed(self, err)
  callback(err)
end

--- Reads the oldest file: callback(err, file, segment), without a file when there is none. Then finish() it, or
--- release() it.
function M:read(callback)
  local file = self.ready and oldest(self)
  if not file and self.ready and self.more then
    self.ready = false
    return self:open(function(err)
      if err then return callback(err) end
      self:read(callback)
    end)
  end
  if not file then return clear(self, callback) end
  if expired(self, file) then
    return drop_file(self, file, "spool_age", function(err)
      if err then return callback(err) end
      self:read(callback)
    end)
  end
  file.reading = true
  if self.current == file then self.current = nil end
  self.disk:run(function(answered) self.store:read(file.number, file.created, answered) end, function(err, segment)
    if not err then return callback(nil, file, segment) end
    file.reading = nil
    unreadable(self, file, err, callback)
  end)
end

--- The file's messages wait on.
function M.release(_, file)
  file.reading = nil
end

--- The file's messages are delivered; callback(). With `torn` its end can't be read, and it is kept for a person.
function M:finish(file, torn, callback)
  file.reading, file.sent = nil, true
  if torn then return put_away(self, file, "torn", callback) end
  self.disk:run(function(answered) self.store:remove(file.number, file.created, false, answered) end, function(err)
    if err then
      failed(self, err)
    else
      worked(self)
      forget(self, file)
    end
    callback()
  end)
end

--- Lets go of the directory; callback() when it has.
function M:close(callback)
  self.closed = true
  self.disk:run(function(answered) self.store:close(answered) end, function() callback() end)
end

--- For /me/status. age: seconds, of the oldest file.
function M:status()
  local first = oldest(self)
  return { directory = self.directory, files = #self.files, bytes = self.bytes, spooled = self.spooled,
    age = first and math.floor(age_of(self, first)) or 0, quarantined = self.quarantined, bad = self.bad,
    state = self.disk.hung and "hung" or self.last_error and "failing" or "ok", last_error = self.last_error }
end

return M
