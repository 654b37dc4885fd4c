-- Worker builtin: runs the functions that others wrote, for as long as the agent has any. Talks with
-- agent.builtin in frames of lists of messages. It may be killed at any time; what must last is the
-- supervisor's.

local buffer = require("string.buffer")
local uv = require("luv")

local M = {}

local CHANNEL, HEAD = 3, 4
local POLL_MS = 30000

local function frame_of(bytes)
  local n = #bytes
  local floor = math.floor
  return string.char(floor(n / 2 ^ 24) % 256, floor(n / 2 ^ 16) % 256, floor(n / 256) % 256, n % 256) .. bytes
end

-- What is said in one turn of the loop goes out as one frame.
local function new_out(pipe)
  local list, prepare = {}, uv.new_prepare()
  local function flush()
    prepare:stop()
    if not list[1] then return end
    local bytes = frame_of("i" .. buffer.encode(list))
    list = {}
    local sent = pipe:try_write(bytes)
    if sent == #bytes then return end
    pipe:write(sent and sent > 0 and bytes:sub(sent + 1) or bytes)
  end
  return function(message)
    list[#list + 1] = message
    if not list[2] then prepare:start(flush) end
  end, flush
end

local function read_frames(pipe, take, ended)
  local waiting = ""
  pipe:read_start(function(err, chunk)
    if err or not chunk then return ended() end
    waiting = waiting == "" and chunk or waiting .. chunk
    while #waiting >= HEAD do
      local a, b, c, d = waiting:byte(1, HEAD)
      local n = ((a * 256 + b) * 256 + c) * 256 + d
      if #waiting < HEAD + n then return end
      local bytes = waiting:sub(HEAD + 1, HEAD + n)
      waiting = waiting:sub(HEAD + n + 1)
      take(buffer.decode(bytes))
    end
  end)
end

local handlers = {}

-- A function that can't be loaded leaves the one of that name that is there.
function handlers.load(self, message)
  local files = require("agent.worker.builtin.files")
  local source, why = message.source, nil
  if not source then source, why = files.read(message.path) end
  local made, wrong
  if source then
    made, wrong = files.load(message.name, source, self.environment(), message.key)
  else
    wrong = { message = why }
  end
  if not made then
    return self.say({ "unloadable", message.key, message.name, wrong.message, wrong.line })
  end
  made.source, made.grown = source, 0
  self.functions[message.name] = made
  self.say({ "loaded", message.key, message.name })
end

function handlers.forget(self, message) self.functions[message.name] = nil end

function handlers.keep(self, message)
  local made = self.functions[message.name]
  if made then self.say({ "kept", message.name, made.source }) end
end

function handlers.item(self, message)
  local item = self.items[message.key]
  if item then -- new parameters of one that goes on
    message.state = item.saved
  end
  self.items[message.key] = require("agent.worker.builtin.item").new(message)
end

function handlers.drop(self, message) self.items[message.key] = nil end

-- What functions keep adds up: when it is too much, the one that kept most is named, and all start anew.
local function judge_heap(self)
  for _ = 1, 8 do -- LuaJIT halves its own buffers in each cycle
    collectgarbage()
    if collectgarbage("count") * 1024 < self.heap_limit then return end
  end
  local most
  for name, made in pairs(self.functions) do
    if not most or made.grown > self.functions[most].grown then most = name end
  end
  self.say({ "leak", most })
  self.flush()
  os.exit(1)
end

-- In a turn of its own: the stack still holds what the run that ended had.
local function check_heap(self)
  if collectgarbage("count") * 1024 < self.heap_limit or self.judging then return end
  self.judging = uv.new_timer()
  self.judging:start(0, 0, function()
    self.judging:close()
    self.judging = nil
    judge_heap(self)
  end)
end

function handlers.run(self, message)
  local item = self.items[message.key]
  if not item then return end
  local definition = self.functions[item.fn]
  local function log(level, text) self.say({ "log", item.key, level, text }) end
  require("agent.worker.builtin.item").run(item, definition, log, function(outcome)
    self.say({ "done", item.key, outcome })
    if definition then definition.grown = definition.grown + (outcome.grown or 0) end
    check_heap(self)
  end)
end

-- Says when a file changed: at once where the kernel tells, else within half a minute.
function handlers.watch(self, message)
  local files = require("agent.worker.builtin.files")
  local function changed() self.say({ "changed" }) end
  for _, directory in ipairs(message.directories) do
    local watcher = uv.new_fs_event()
    if not watcher:start(directory, {}, function(_, name)
      if not name or name:find("%.lua$") then changed() end
    end) then
      watcher:close()
    end
  end
  local print = files.print(message.directories)
  uv.new_timer():start(POLL_MS, POLL_MS, function()
    local new = files.print(message.directories)
    if new ~= print then changed() end
    print = new
  end)
end

local function prepare(request)
  jit.off() -- a loop that is compiled runs no hook
  local run = require("agent.worker.builtin.run")
  -- Its threads are few: who waits for names must leave some for files.
  uv.os_setenv("UV_THREADPOOL_SIZE", "8")
  local guard = require("host.guard")
  if not guard.start(request.stuck * 1000) then error("no timer to guard with") end
  guard.conceal() -- what one function was handed is no business of another's
  run.setup({ slice = request.slice, memory = request.memory })
  return require("agent.worker.builtin.sandbox").new(run.caught)
end

-- What can be said of one file.
local function examine(request, one, name, id, env)
  local files = require("agent.worker.builtin.files")
  if request.hangs[name] == one.path .. one.print then
    one.broken = { message = "does not come back when it is loaded" }
    return
  end
  local source, why = files.read(one.path)
  if not source then
    one.broken = { message = why }
    return
  end
  local made, wrong = files.load(name, source, env, id)
  one.broken = wrong
  if not made then return end
  one.interval = made.interval
  if request.describe then one.description, one.params = made.description, made.params end
end

-- Loads each of the files, says what it found, and is gone.
local function check(request, emit)
  local environment = prepare(request)
  local found = require("agent.worker.builtin.files").scan(request.directories)
  local names = {}
  for name in pairs(found) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local one = found[name]
    if request.known[name] == one.path .. one.print then
      one.same = true
    else
      emit({ "loading", i, name, one.path, one.print })
      examine(request, one, name, i, environment())
    end
  end
  return found
end

--- request: { slice = seconds of CPU, stuck = seconds, memory = bytes of a run, heap = bytes of all }; then messages,
--- see the handlers. With check: { directories, known = { [name] = path .. print }, hangs = the same, describe = bool }
--- → { [name] = { path, print, over, same, broken = { line, message }, interval, description, params } }.
function M.serve(request, emit)
  if request.check then return check(request, emit) end
  require("agent.worker.builtin.echo").open() -- and with it the last capability goes
  local pipe = uv.new_pipe(false)
  assert(pipe:open(CHANNEL))
  local self = { functions = {}, items = {}, heap_limit = request.heap, environment = prepare(request) }
  self.say, self.flush = new_out(pipe)
  read_frames(pipe, function(list)
    for _, message in ipairs(list) do handlers[message[1]](self, message) end
  end, function() os.exit(0) end)
  require("agent.timer").after(5, require("host").trim)
  uv.run()
end

return M.serve
