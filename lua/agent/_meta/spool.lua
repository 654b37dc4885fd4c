---@meta host.spool

--- Messages in files of a directory, so that they survive a loss of power (src/spool/). Every operation runs in a
--- thread of libuv's pool and calls back once, with err = nil or { code = "ENOSPC", message = … }. A store has one
--- operation under way at a time: another one raises. On a dead disk an operation may never end.
local spool = {}

---@class host.spool.file
---@field number integer files are read in this order
---@field created integer unix seconds, as its name says
---@field modified integer unix seconds
---@field size integer bytes

---@class host.spool.files: host.spool.file[]
---@field bad integer files that were put away
---@field put_away integer those of them that open() found just now
---@field more boolean there are more than the 16384 that are listed

--- The store of a directory. Nothing is opened yet.
---@param directory string
---@return host.spool.store
function spool.new(directory) end

--- An empty writer; commit() empties it again.
---@return host.spool.writer
function spool.writer() end

---@class host.spool.store
local Store = {}

--- Takes the lock, makes what is missing, puts away what isn't a file of ours and lists the others. err.code
--- "EBUSY": another process has it, and err.message says which.
---@param callback fun(err: table|nil, files: host.spool.files|nil)
function Store:open(callback) end

--- Lists the files; changes nothing, needs no lock.
---@param callback fun(err: table|nil, files: host.spool.files|nil)
function Store:list(callback) end

--- Makes the file (offset 0) or appends to it at `offset`, which must be its end (else "ESTALE"), and syncs.
---@param number integer
---@param created integer
---@param offset integer
---@param writer host.spool.writer
---@param callback fun(err: table|nil, size: integer|nil) size: of the file now
function Store:commit(number, created, offset, writer, callback) end

--- Reads a file. "EBADMSG": not one of ours, "EPROTO": of another version.
---@param number integer
---@param created integer
---@param callback fun(err: table|nil, segment: host.spool.segment|nil)
function Store:read(number, created, callback) end

--- Removes a file, if it is there.
---@param number integer
---@param created integer
---@param count boolean whether the callback is to know how many messages go with it
---@param callback fun(err: table|nil, messages: integer|nil)
function Store:remove(number, created, count, callback) end

--- Moves a file to bad/, or removes it when there are a hundred already.
---@param number integer
---@param created integer
---@param callback fun(err: table|nil)
function Store:put_away(number, created, callback) end

--- Lets go of the lock.
---@param callback fun(err: table|nil)
function Store:close(callback) end

---@class host.spool.writer
local Writer = {}

--- Adds a message. nil, message, "EMSGSIZE": it has no room, the writer is as before.
---@param topic string
---@param head string
---@param body string
---@return true|nil, string|nil, string|nil
function Writer:add(topic, head, body) end

--- Bytes so far.
---@return integer
function Writer:size() end

---@class host.spool.segment a file that was read
local Segment = {}

--- The messages that come next, as far as they are of one topic and together not more than `max` bytes (at least
--- one). At the end nil and whether the file is torn there.
---@param max number
---@return string|nil topic, table|boolean messages { { head, body } … }, integer|nil bytes
function Segment:next(max) end

--- Bytes of the file.
---@return integer
function Segment:size() end

--- Frees its bytes now.
function Segment:close() end

return spool
