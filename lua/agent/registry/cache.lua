-- The registry's last good answer on disk, so that an agent started without a registry does yesterday's
-- work at once. A line `agent-registry VERSION SAVED COUNT`, then one line for each namespace: its hash, name, id
-- and items as JSON. A torn, damaged or foreign file is noticed.

local file = require("agent.file")
local hash = require("host.hash")

local M = {}
M.__index = M

local VERSION, LARGEST = 1, 32 * 1024 * 1024
local HEADER, LINE = "^agent%-registry (%d+) (%d+) (%d+)\n()", "^(%x+) (%S+) (%S+) ([^\n]*)\n()"

--- path: of the file; its directory is made when it isn't there.
function M.new(path)
  return setmetatable({ path = path, made = false }, M)
end

--- Items as the text that the file holds, and back; nil when a text is none.
function M.items_text(items)
  return require("cjson").encode(items)
end

function M.text_items(text)
  local ok, items = pcall(require("cjson").decode, text)
  return ok and type(items) == "table" and items or nil
end

--- The bytes of a state { saved = unix seconds, namespaces = { { ns, id | nil, text }, … } }.
function M.encode(state)
  local lines = { ("agent-registry %d %d %d\n"):format(VERSION, state.saved, #state.namespaces) }
  for i, one in ipairs(state.namespaces) do
    local rest = ("%s %s %s"):format(one[1], one[2] or "-", one[3])
    lines[i + 1] = ("%08x %s\n"):format(hash.of(rest), rest)
  end
  return table.concat(lines)
end

--- The state in such bytes, or nil and what is wrong with them.
function M.decode(bytes)
  local version, saved, count, at = bytes:match(HEADER)
  if not version then return nil, "not a file of the agent" end
  if tonumber(version) ~= VERSION then return nil, "written by another version of the agent" end
  local namespaces = {}
  while at <= #bytes do
    local sum, ns, id, text, next_at = bytes:match(LINE, at)
    if not sum or ("%08x"):format(hash.of(bytes:sub(at + 9, next_at - 2))) ~= sum then return nil, "damaged" end
    namespaces[#namespaces + 1] = { ns, id ~= "-" and id or nil, text }
    at = next_at
  end
  if #namespaces ~= tonumber(count) then return nil, "torn" end
  return { saved = tonumber(saved), namespaces = namespaces }
end

--- Reads the last state; callback(err, state). err.code "ENOENT": there is none yet.
function M:load(callback)
  file.read(self.path, LARGEST, function(err, bytes)
    if err then return callback(err) end
    local state, why = M.decode(bytes)
    if not state then return callback({ code = "EBADMSG", message = ("%s: %s"):format(self.path, why) }) end
    callback(nil, state)
  end)
end

local function write(self, bytes)
  file.write(self.path, bytes, function(err)
    self.writing = false
    local next_bytes, callback = self.next_bytes, self.callback
    self.next_bytes = nil
    if callback then callback(err) end
    if next_bytes then self:save_bytes(next_bytes, callback) end
  end)
end

-- One write at a time; of several that wait only the last counts.
function M:save_bytes(bytes, callback)
  self.callback = callback
  if self.writing then
    self.next_bytes = bytes
    return
  end
  self.writing = true
  if self.made then return write(self, bytes) end
  file.make_directory(self.path:match("^(.*)/[^/]*$") or ".", function()
    self.made = true
    write(self, bytes)
  end)
end

--- Writes the state, replacing the file whole; callback(err) where given.
function M:save(state, callback)
  self:save_bytes(M.encode(state), callback)
end

return M
