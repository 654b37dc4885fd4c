---@meta host.pidfile

--- A file with the pid of the process that holds its lock. The lock says who lives, not the file.
local pidfile = {}

---@class host.pidfile.lock
local Lock = {}

--- Removes the file and gives up the lock; so does the collector when nobody holds the object.
function Lock:release() end

--- Creates the file (0644, with the directories above it) and holds its lock until the process ends.
---@param path string
---@return host.pidfile.lock|nil, string|nil message "held by pid N", string|nil code "HELD" or errno's name
function pidfile.acquire(path) end

--- The pid that holds the file.
---@param path string
---@return integer|nil, string|nil message, string|nil code "ENOENT", "STALE", "HELD" (just starting), …
function pidfile.holder(path) end

--- Sends TERM to the holder, waits until it has ended and removes the file. Blocks: for the command line alone.
---@param path string
---@param deadline_ms integer|nil default 10000
---@return integer|nil pid that has ended, string|nil message, string|nil code as holder(), "TIMEOUT", "EPERM", …
function pidfile.stop(path, deadline_ms) end

return pidfile
