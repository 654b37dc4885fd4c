-- Small files of state, read and written off the loop, one after the other by whoever owns them.

local uv = require("luv")

local M = {}

local function failure(what, path, why)
  return { code = why:match("^%u%w+") or "EIO", message = ("cannot %s %s: %s"):format(what, path, why) }
end

local function close(fd, callback, ...)
  local results, n = { ... }, select("#", ...)
  uv.fs_close(fd, function() callback(unpack(results, 1, n)) end)
end

--- Reads a regular file of at most `max` bytes; callback(err, text).
function M.read(path, max, callback)
  uv.fs_open(path, "r", 0, function(err, fd)
    if err then return callback(failure("read", path, err)) end
    uv.fs_fstat(fd, function(why, stat)
      if why then return close(fd, callback, failure("read", path, why)) end
      if stat.type ~= "file" then return close(fd, callback, failure("read", path, "EINVAL: not a file")) end
      if stat.size > max then
        return close(fd, callback, failure("read", path, ("EFBIG: more than %d bytes"):format(max)))
      end
      uv.fs_read(fd, stat.size, 0, function(bad, text)
        close(fd, callback, bad and failure("read", path, bad) or nil, text)
      end)
    end)
  end)
end

local function sync_directory(path, callback)
  local directory = path:match("^(.*)/[^/]*$") or "."
  uv.fs_open(directory == "" and "/" or directory, "r", 0, function(err, fd)
    if err then return callback() end
    uv.fs_fsync(fd, function() close(fd, callback) end)
  end)
end

local function rename(temporary, path, callback)
  uv.fs_rename(temporary, path, function(err)
    if err then return callback(failure("write", path, err)) end
    sync_directory(path, callback)
  end)
end

--- Replaces a file whole: written beside it, synced, renamed, the directory synced. Whoever reads it sees
--- the old text or the new one; callback(err).
---@param mode? integer permissions, default 0640
function M.write(path, text, callback, mode)
  local temporary = path .. ".tmp"
  uv.fs_open(temporary, "w", mode or 416, function(err, fd)
    if err then return callback(failure("write", path, err)) end
    local function give_up(why)
      close(fd, function()
        uv.fs_unlink(temporary, function() callback(failure("write", path, why)) end)
      end)
    end
    uv.fs_write(fd, text, 0, function(bad, n)
      if bad or n < #text then return give_up(bad or "ENOSPC: no space left") end
      uv.fs_fdatasync(fd, function(why)
        if why then return give_up(why) end
        close(fd, function() rename(temporary, path, callback) end)
      end)
    end)
  end)
end

--- Makes a directory and those above it (0755); callback(err).
function M.make_directory(path, callback)
  uv.fs_mkdir(path, 493, function(err)
    if not err or err:find("^EEXIST") then return callback() end
    local above = path:match("^(.+)/[^/]+/?$")
    if not err:find("^ENOENT") or not above then return callback(failure("make", path, err)) end
    M.make_directory(above, function(why)
      if why then return callback(why) end
      M.make_directory(path, callback)
    end)
  end)
end

return M
