-- The registry's last good answer on disk, so that an agent started without a registry does yesterday's
-- work at once. One line `agent-registry VERSION HASH BYTES`, then JSON: a torn or foreign file is noticed.

local bit = require("bit")
local file = require("agent.file")
local hash = require("agent.hash")
local json = require("agent.json")

local M = {}
M.__index = M

local VERSION, LARGEST = 1, 32 * 1024 * 1024
local HEADER = "^agent%-registry (%d+) (%x+) (%d+)\n()"

--- path: of the file; its directory is made when it isn't there.
function M.new(path)
  return setmetatable({ path = path, made = false }, M)
end

--- The bytes of a state { saved = unix seconds, namespaces = { [ns] = items }, ids = { [ns] = id } }.
function M.encode(state)
  local body = json.encode(state)
  return ("agent-registry %d %s %d\n%s"):format(VERSION, bit.tohex(hash.of(body)), #body, body)
end

--- The state in such bytes, or nil and what is wrong with them.
function M.decode(text)
  local version, sum, bytes, at = text:match(HEADER)
  if not version then return nil, "not a file of the agent" end
  if tonumber(version) ~= VERSION then return nil, "written by another version of the agent" end
  local body = text:sub(at)
  if #body ~= tonumber(bytes) or bit.tohex(hash.of(body)) ~= sum then return nil, "damaged" end
  local ok, state = pcall(require("cjson").decode, body)
  if not ok or type(state) ~= "table" or type(state.namespaces) ~= "table" or type(state.saved) ~= "number" then
    return nil, "damaged"
  end
  return state
end

--- Reads the last state; callback(err, state). err.code "ENOENT": there is none yet.
function M:load(callback)
  file.read(self.path, LARGEST, function(err, text)
    if err then return callback(err) end
    local state, why = M.decode(text)
    if not state then return callback({ code = "EBADMSG", message = ("%s: %s"):format(self.path, why) }) end
    callback(nil, state)
  end)
end

local function write(self, text)
  file.write(self.path, text, function(err)
    self.writing = false
    local next_text, callback = self.next_text, self.callback
    self.next_text = nil
    if callback then callback(err) end
    if next_text then self:save_text(next_text, callback) end
  end)
end

-- One write at a time; of several that wait only the last counts.
function M:save_text(text, callback)
  self.callback = callback
  if self.writing then
    self.next_text = text
    return
  end
  self.writing = true
  if self.made then return write(self, text) end
  file.make_directory(self.path:match("^(.*)/[^/]*$") or ".", function()
    self.made = true
    write(self, text)
  end)
end

--- Writes the state, replacing the file whole; callback(err) where given.
function M:save(state, callback)
  self:save_text(M.encode(state), callback)
end

return M
