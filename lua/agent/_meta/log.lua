---@meta host.log

--- Records for the person on call, one line each. Nothing here blocks but close(): after setup() all
--- writing happens off the loop, before it records go to stderr at once. A record that equals the last
--- one is counted instead, and the count is told when another one comes or after 10 s.
local log = {}

---@alias host.log.fields table<string, string|number|boolean> at most 32, written sorted by key

---@class host.log.options
---@field level "FATAL"|"ERROR"|"WARNING"|"INFO"|"DEBUG"|nil the lowest that is written, default INFO
---@field format "text"|"json"|nil default text
---@field dir string|nil "" or nil: stderr; made when missing
---@field file string|nil default agent.log
---@field rotate_size number|nil bytes; 0 or nil: no rotation
---@field rotate_count integer|nil files kept: FILE.1, the newest, to FILE.N; 0 or nil: no rotation

--- `part` names the room that speaks.
---@param part string
---@param message string
---@param fields host.log.fields|nil
function log.fatal(part, message, fields) end

---@param part string
---@param message string
---@param fields host.log.fields|nil
function log.error(part, message, fields) end

---@param part string
---@param message string
---@param fields host.log.fields|nil
function log.warning(part, message, fields) end

---@param part string
---@param message string
---@param fields host.log.fields|nil
function log.info(part, message, fields) end

---@param part string
---@param message string
---@param fields host.log.fields|nil
function log.debug(part, message, fields) end

--- Whether a record of this level would be written: for records that are expensive to make.
---@param level "FATAL"|"ERROR"|"WARNING"|"INFO"|"DEBUG"
---@return boolean
function log.enabled(level) end

--- From here on records go through the loop, to where the options say. May be called again.
---@param options host.log.options
---@return true|nil, string|nil message, string|nil code
function log.setup(options) end

--- Calls back from the loop when everything so far was written or given up; before setup() at once.
---@param callback fun()
function log.flush(callback) end

--- Waits until all is written, at most so long, and goes back to stderr. Blocks; the host does it at
--- the end of the process.
---@param deadline_ms integer|nil default 1000
function log.close(deadline_ms) end

--- Lines that could not be written since setup(): the disk is full or does not answer.
---@return number
function log.lost() end

return log
