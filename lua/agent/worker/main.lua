-- What runs in a worker's process: one request from the channel, the module's function, one answer.
local channel = require("host.channel")
local buffer = require("string.buffer")

local M = {}

local TRACEBACK_LINES = 10

-- Who started us is gone when nobody reads any more: then there is nothing left to do.
local function write(kind, value)
  local frame = kind .. buffer.encode(value)
  local ok, why, code = channel.write_frame(frame)
  if ok then return end
  if code == "EPIPE" then os.exit(1) end
  error(("answer of %d bytes: %s"):format(#frame, why), 0)
end

local function emit(value) write("i", value) end

local function receive()
  local frame = channel.read_frame()
  return frame and buffer.decode(frame)
end

-- A table with a message is raised by those who have more to say than a sentence.
local function describe(err)
  if type(err) == "table" then
    return { message = tostring(err.message or err.code or "error"), detail = err }
  end
  local lines = {}
  for line in debug.traceback("", 2):gmatch("\n\t([^\n]+)") do
    if line:find("[C]: in function 'xpcall'", 1, true) or #lines == TRACEBACK_LINES then break end
    lines[#lines + 1] = line
  end
  return { message = tostring(err), traceback = table.concat(lines, "\n") }
end

--- Runs the worker `name` for the parent at the other end of the channel. Returns the exit code.
function M.serve(name)
  local first, why = channel.read_frame()
  if not first then
    io.stderr:write("agent worker: no request: ", why or "nobody there", "\n")
    return 1
  end
  local ok, result = xpcall(function()
    return require("agent.worker." .. name)(buffer.decode(first), emit, receive)
  end, describe)
  if ok then ok, result = xpcall(write, describe, "r", result) end
  if not ok then write("e", result) end
  return 0
end

return M
