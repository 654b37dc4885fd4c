-- gzip(1), for peers that get or send compressed bodies.
local M = {}

local function pipe_through(command, bytes)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local pipe = assert(io.popen(command .. " <" .. path))
  local out = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return out
end

function M.pack(text) return pipe_through("gzip -nc", text) end

function M.unpack(bytes) return pipe_through("gzip -dc", bytes) end

return M
