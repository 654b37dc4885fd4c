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

local hidden = setmetatable({}, { __mode = "k" })
local File = {}
local file_meta = { __index = File, __metatable = false }

local function own_state(file)
  local state = hidden[file]
  if not state then error("a file's functions are called with a colon: file:read()", 3) end
  if state.closed or state.run ~= run.current() then error("the file is closed", 3) end
  return state
end

local function plain_stat(stat)
  return { size = stat.size, mtime = stat.mtime.sec + stat.mtime.nsec / 1e9, inode = stat.ino, device = stat.dev,
    type = stat.type, mode = stat.mode, uid = stat.uid, gid = stat.gid,
    born = stat.birthtime.sec + stat.birthtime.nsec / 1e9 }
end

--- As ctx.read_file, of this very file, whatever became of its name.
function File:read(most, offset)
  local state = own_state(self)
  return coded(run.await(state.path, nil, function(answer)
    state.busy = true
    read_on(state.fd, offset or 0, math.min(most or MOST, LARGEST), {}, 0, function(...)
      state.busy = nil
      if state.closed then uv.fs_close(state.fd, function() end) end
      answer(...)
    end)
  end))
end

function File:stat()
  local state = own_state(self)
  local stat, why = uv.fs_fstat(state.fd) -- of an open file: the kernel has it at hand
  if not stat then return coded(nil, why) end
  return plain_stat(stat)
end

--- Any number of times.
function File:close()
  local state = hidden[self]
  if not state or state.closed then return end
  state.closed = true
  run.release(state.run, state.token)
  if not state.busy then uv.fs_close(state.fd, function() end) end
end

local function adopt(path, fd)
  local file = setmetatable({}, file_meta)
  local state = { path = path, fd = fd, run = run.current() }
  hidden[file] = state
  state.token = run.own(function() file:close() end)
  return file
end

--- ctx.open: a file that stays the same one while others rename and replace it.
function M.open(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then error("open: an absolute path is wanted", 3) end
  local over
  local fd, why, code = coded(run.await(path, nil, function(answer)
    open(path, answer, function(opened)
      if over then return uv.fs_close(opened, function() end) end
      answer(opened)
    end)
    return function() over = true end
  end))
  if not fd then return nil, why, code end
  return adopt(path, fd)
end

--- ctx.stat: { size, mtime, inode, device, type, mode, uid, gid } of a file; symbolic links are followed.
function M.stat(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then error("stat: an absolute path is wanted", 3) end
  return coded(run.await(path, nil, function(answer)
    uv.fs_stat(path, function(err, stat)
      if err then return answer(nil, err) end
      answer(plain_stat(stat))
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
