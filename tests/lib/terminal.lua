-- A program in a terminal of its own, which script(1) makes: what it writes, keys for it, and the window's size.

local program = require("program")
local uv = require("luv")

local M = {}
M.__index = M

--- Runs `command` (for sh) in a window of this size. Before and after it the terminal's state is written as
--- "state=…", after it "exit=…".
function M.open(command, columns, rows)
  local self = setmetatable({ output = "" }, M)
  local text = ("stty cols %d rows %d; echo tty=$(tty); echo state=$(stty -g); sh -c 'echo pid=$$; exec %s'; "
    .. "echo exit=$?; echo state=$(stty -g)"):format(columns, rows, command)
  local stdin, stdout = uv.new_pipe(false), uv.new_pipe(false)
  local process, pid
  local options = { args = { "-qfec", text, "/dev/null" }, stdio = { stdin, stdout } }
  process, pid = uv.spawn("/usr/bin/script", options, function()
    self.over = true
    process:close()
  end)
  assert(process, pid)
  self.stdin, self.stdout, self.script = stdin, stdout, pid
  stdout:read_start(function(_, bytes)
    if bytes then self.output = self.output .. bytes elseif not stdout:is_closing() then stdout:close() end
  end)
  return self
end

function M:keys(text)
  self.stdin:write(text)
end

--- Gives the window another size, as its owner does.
function M:resize(columns, rows)
  local tty = assert(self.output:match("tty=(%S+)"))
  local child = program.spawn("/usr/bin/stty", { "-F", tty, "cols", tostring(columns), "rows", tostring(rows) })
  assert(child.wait(10) == 0, child.output)
end

--- Process id of the program.
function M:pid()
  return tonumber(program.wait("the program's pid", 10, function() return self.output:match("pid=(%d+)") end))
end

--- The lines of the frame drawn last, without what steers the terminal; nil before the first.
function M:frame()
  local frame
  for one in self.output:gmatch("\27%[H(.-)\27%[J") do frame = one end
  if not frame then return nil end
  local lines = {}
  for line in (frame:gsub("\27%[K", "") .. "\r\n"):gmatch("(.-)\r+\n") do lines[#lines + 1] = line end
  return lines
end

--- Waits until the command is over; returns its exit code, and the terminal's state before and after it.
function M:finish(seconds)
  program.wait("the end of the program; it wrote " .. self.output:sub(-2000), seconds or 10, function()
    return self.output:find("exit=%d+.-state=%S+\r?\n")
  end)
  local states = {}
  for state in self.output:gmatch("state=([%x:]+)") do states[#states + 1] = state end
  return tonumber(self.output:match("exit=(%d+)")), states[1], states[2]
end

function M:close()
  if not self.stdin:is_closing() then self.stdin:close() end
  if not self.over then uv.kill(self.script, "sigkill") end -- the program gets a hangup
  program.wait("the end of script", 10, function() return self.over end)
  if not self.stdout:is_closing() then self.stdout:close() end
  uv.run("nowait")
end

return M
