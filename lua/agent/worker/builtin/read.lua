-- Reads files in libuv's threads: a dead disk keeps a thread and not the worker.

local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local MOST, LARGEST, PIECE = 2 ^ 20, 2 ^ 23, 2 ^ 16

local function closing(fd, answer)
  return function(...)
    uv.fs_close(fd, function() end)
    answer(...)
  end
end

-- /proc says that its files are empty: they are read until there is no more.
local function read_on(fd, at, most, pieces, have, answer)
  local wanted = math.min(PIECE, most - have)
  if wanted == 0 then return answer(table.concat(pieces)) end
  uv.fs_read(fd, wanted, at and at + have or -1, function(err, bytes)
    if err then return answer(nil, err) end
    if bytes == "" then return answer(table.concat(pieces)) end
    pieces[#pieces + 1] = bytes
    read_on(fd, at, most, pieces, have + #bytes, answer)
  end)
end

local function open(path, answer, opened)
  -- Without waiting for who writes into a fifo; what isn't a file is refused then.
  uv.fs_open(path, uv.constants.O_RDONLY + uv.constants.O_NONBLOCK, 0, function(err, fd)
    if err then return answer(nil, err) end
    uv.fs_fstat(fd, function(wrong, stat)
      local finish = closing(fd, answer)
      if wrong then return finish(nil, wrong) end
      if stat.type ~= "file" then return finish(nil, ("%s: a %s, not a file"):format(path, stat.type)) end
      opened(fd, stat, finish)
    end)
  end)
end

local function coded(text, why, code)
  if text or code then return text, why, code end
  return nil, why, why and why:match("^(E%u+)") or "failed"
end

--- ctx.read_file: the first `most` bytes (1 MiB; at most 8) from `offset` (0) on.
function M.file(path, most, offset)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then error("read_file: an absolute path is wanted", 3) end
  most = math.min(most or MOST, LARGEST)
  return coded(run.await(path, nil, function(answer)
    open(path, answer, function(fd, _, finish) read_on(fd, offset, most, {}, 0, finish) end)
  end))
end

--- ctx.stat: { size, mtime, inode, device, type, mode, uid, gid } of a file; symbolic links are followed.
function M.stat(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then error("stat: an absolute path is wanted", 3) end
  return coded(run.await(path, nil, function(answer)
    uv.fs_stat(path, function(err, stat)
      if err then return answer(nil, err) end
      answer({ size = stat.size, mtime = stat.mtime.sec + stat.mtime.nsec / 1e9, inode = stat.ino, device = stat.dev,
        type = stat.type, mode = stat.mode, uid = stat.uid, gid = stat.gid })
    end)
  end))
end

--- ctx.list: the names in a directory, sorted; at most 10000.
function M.list(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then error("list: an absolute path is wanted", 3) end
  return coded(run.await(path, nil, function(answer)
    uv.fs_scandir(path, function(err, entries)
      if err then return answer(nil, err) end
      local names = {}
      for name in function() return uv.fs_scandir_next(entries) end do
        names[#names + 1] = name
        if #names == 10000 then break end
      end
      table.sort(names)
      answer(names)
    end)
  end))
end

return M
