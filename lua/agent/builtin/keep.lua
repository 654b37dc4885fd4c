-- ctx.state on disk, so that it outlives the agent: what is kept of each item, encoded by the worker, as one file that
-- is written some seconds after a change and at the end.

local buffer = require("string.buffer")
local file = require("agent.file")
local hash = require("host.hash")

local M = {}
M.__index = M

local PAUSE, LARGEST = 5, 64 * 2 ^ 20 -- seconds between two writes; bytes
local HEADER = "agent-builtin-state 1 %08x\n"

--- path; after; log; collect () → { [item's id] = encoded state } of all that there is.
function M.new(options)
  return setmetatable({ path = options.path, after = options.after, log = options.log, collect = options.collect }, M)
end

function M.encode(states)
  local text = buffer.encode(states)
  return HEADER:format(hash.of(text)) .. text
end

--- The states in such bytes; nil when it is no whole file of ours.
function M.decode(bytes)
  local sum, at = bytes:match("^agent%-builtin%-state 1 (%x+)\n()")
  if not sum then return nil end
  local text = bytes:sub(at)
  if ("%08x"):format(hash.of(text)) ~= sum then return nil end
  local ok, states = pcall(buffer.decode, text)
  return ok and type(states) == "table" and states or nil
end

--- callback(states): what was kept last, empty when there is nothing.
function M:load(callback)
  file.read(self.path, LARGEST, function(err, bytes)
    local states = bytes and M.decode(bytes)
    if not states and not (err and err.code == "ENOENT") then
      self.log.warning("builtin", "the kept state can't be used", { reason = err and err.message or "damaged" })
    end
    callback(states or {})
  end)
end

local function write(self, done)
  self.writing, self.dirty = true, nil
  file.make_directory(self.path:match("^(.*)/[^/]*$") or ".", function()
    file.write(self.path, M.encode(self.collect()), function(err)
      self.writing = nil
      if err and not self.failed then self.log.error("builtin", err.message, { code = err.code }) end
      self.failed = err ~= nil
      if done then done() end
      if self.dirty then self:changed() end
    end, 384) -- 0600
  end)
end

--- Something changed: it is written soon.
function M:changed()
  self.dirty = true
  if self.timer or self.writing then return end
  self.timer = self.after(PAUSE, function()
    self.timer = nil
    write(self)
  end)
end

--- Writes what isn't written yet; callback() then, or a second later: a disk may hang.
function M:close(callback)
  local pending = self.timer
  if pending then pending:cancel() end
  self.timer = nil
  if not pending or self.writing then return callback() end
  local late
  local function done()
    if not late then return end
    late:cancel()
    late = nil
    callback()
  end
  late = self.after(1, done)
  write(self, done)
end

return M
