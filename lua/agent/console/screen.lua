-- The terminal as a screen of our own: entered, redrawn in place, and given back as it was whatever happens.

local client = require("agent.console.client")
local uv = require("luv")

local M = {}
M.__index = M

local ENTER = "\27[?1049h\27[?25l\27[?7l" -- alternate screen, no cursor, no wrapping of lines
local LEAVE = "\27[?7h\27[?25h\27[?1049l"
local HOME, END_OF_LINE, BELOW = "\27[H", "\27[K", "\27[J"
local CTRL_C, CTRL_Z = "\3", "\26"

-- false when the terminal is gone.
local function put(bytes)
  return io.stdout:write(bytes) and io.stdout:flush()
end

local function enter(self)
  if self.entered then return end
  self.entered = true
  if self.keys then self.keys:set_mode(1) end
  put(ENTER)
end

local function leave(self)
  if not self.entered then return end
  self.entered = false
  put(LEAVE)
  if self.keys then self.keys:set_mode(0) end
end

-- Ctrl-Z: the shell gets its terminal back, and we ours when it continues us.
local function pause(self)
  leave(self)
  uv.kill(uv.os_getpid(), "sigstop")
  enter(self)
  self.options.on_change()
end

local function on_signal(self, name, fn)
  local handle = uv.new_signal()
  handle:start(name, function() client.guarded(fn) end)
  self.handles[#self.handles + 1] = handle
end

local function read_keys(self)
  if uv.guess_handle(0) ~= "tty" then return end
  self.keys = uv.new_tty(0, true)
  if not self.keys then return end
  self.handles[#self.handles + 1] = self.keys
  self.keys:read_start(function(err, keys)
    client.guarded(function()
      if err or not keys then return self:stop("sighup") end
      for key in keys:gmatch(".") do
        if key == CTRL_C then return self:stop("sigint") end
        if key == CTRL_Z then return pause(self) end
        self.options.on_key(key)
      end
    end)
  end)
end

--- Whether there is a terminal to draw on.
function M.possible()
  return uv.guess_handle(1) == "tty"
end

--- options: on_key (character), on_change (): the screen has another size or has to be drawn anew, on_signal (name):
--- the program shall end; the screen is closed then already.
function M.open(options)
  local self = setmetatable({ options = options, handles = {} }, M)
  self.tty = assert(uv.new_tty(1, false))
  self.handles[1] = self.tty
  client.on_defect = function() self:close() end
  for _, name in ipairs({ "sigint", "sigterm", "sighup", "sigquit" }) do
    on_signal(self, name, function() self:stop(name) end)
  end
  on_signal(self, "sigwinch", options.on_change)
  on_signal(self, "sigtstp", function() pause(self) end)
  read_keys(self)
  enter(self)
  return self
end

function M:stop(signal)
  self:close()
  self.options.on_signal(signal)
end

--- Columns and lines.
function M:size()
  local width, height = self.tty:get_winsize()
  if not width or width < 1 or height < 1 then return 80, 24 end
  return width, height
end

--- Shows clean lines, no more and no wider than size(); what was there before is gone.
function M:draw(lines)
  if not self.entered then return end
  local text = HOME .. table.concat(lines, END_OF_LINE .. "\r\n") .. END_OF_LINE .. BELOW
  if not put(text) then self:stop("sighup") end
end

--- Gives the terminal back; any number of times.
function M:close()
  leave(self)
  for _, handle in ipairs(self.handles) do
    if not handle:is_closing() then handle:close() end
  end
end

return M
