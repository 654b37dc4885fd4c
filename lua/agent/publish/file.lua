-- Output `file`: appends each message, exactly the bytes that would be published, one a line. At its
-- size the file becomes PATH.1, PATH.1 becomes PATH.2, … . All disk work runs off the loop, one
-- operation at a time; acknowledged means: the kernel has it.

local uv = require("luv")

local M = {}
M.__index = M

--- conf: { path, maxsize (bytes), keep (rotated files) }. Nothing is opened before the first batch.
function M.new(conf)
  return setmetatable({ path = conf.path, max_size = conf.maxsize, keep = conf.keep,
    size = 0, written = 0, rotations = 0 }, M)
end

local function failure(what, path, why)
  return { code = "file", message = ("cannot %s %s: %s"):format(what, path, why or "?") }
end

-- PATH.(keep-1) → PATH.keep, …, PATH → PATH.1; a name that isn't there is nothing to rename.
local function shift(self, number, callback)
  local from = number == 0 and self.path or self.path .. "." .. number
  uv.fs_rename(from, self.path .. "." .. (number + 1), function(err)
    if err and not err:find("^ENOENT") then return callback(failure("rotate", from, err)) end
    if number == 0 then return callback() end
    shift(self, number - 1, callback)
  end)
end

local function close_file(self, callback)
  local fd = self.fd
  self.fd = nil
  uv.fs_close(fd, callback)
end

local function rotate(self, callback)
  close_file(self, function()
    local function renamed(err)
      if not err then self.rotations = self.rotations + 1 end
      callback(err)
    end
    if self.keep > 0 then return shift(self, self.keep - 1, renamed) end
    uv.fs_unlink(self.path, function() renamed() end)
  end)
end

local function open_file(self, callback)
  uv.fs_open(self.path, "a", tonumber("640", 8), function(err, fd)
    if err then return callback(failure("open", self.path, err)) end
    self.fd = fd
    uv.fs_fstat(fd, function(_, stat)
      self.size = stat and stat.size or 0
      callback()
    end)
  end)
end

-- Rotates before a batch that would exceed the size, unless the file is empty; opens what is not open.
local function prepare(self, bytes, callback)
  if not self.fd then
    return open_file(self, function(err)
      if err then return callback(err) end
      prepare(self, bytes, callback)
    end)
  end
  if self.size == 0 or self.size + bytes <= self.max_size then return callback() end
  rotate(self, function(err)
    if err then return callback(err) end
    open_file(self, callback)
  end)
end

-- A short write (a full disk) is cut off again, so that no half a line stays and the retry is whole.
local function undo(self, why, callback)
  uv.fs_ftruncate(self.fd, self.size, function() callback(failure("write to", self.path, why)) end)
end

local function append(self, text, callback)
  uv.fs_write(self.fd, text, -1, function(err, n)
    if err then return callback(failure("write to", self.path, err)) end
    if n < #text then return undo(self, "no space left", callback) end
    self.size = self.size + n
    callback()
  end)
end

function M:room()
  return not self.busy and not self.closed
end

--- Appends the messages of a batch; done(err) once.
function M:send(batch, done)
  self.busy = true
  local lines = {}
  for i, message in ipairs(batch.messages) do lines[i] = message[1] .. message[2] end
  lines[#lines + 1] = ""
  local text = table.concat(lines, "\n")
  local function finish(err)
    self.busy = false
    self.last_error = err and err.message
    if not err then self.written = self.written + #batch.messages end
    done(err)
    if self.on_idle then self.on_idle() end
    if self.on_room and not self.closed then self.on_room() end
  end
  prepare(self, #text, function(err)
    if err then return finish(err) end
    append(self, text, finish)
  end)
end

--- Closes the file after the batch that is under way; callback() when done.
function M:close(callback)
  self.closed = true
  local function finish()
    self.on_idle = nil
    if self.fd then close_file(self, callback) else callback() end
  end
  if self.busy then self.on_idle = finish else finish() end
end

--- For /me/status.
function M:status()
  return { name = "file", path = self.path, written = self.written, size = self.size,
    rotations = self.rotations, last_error = self.last_error }
end

return M
