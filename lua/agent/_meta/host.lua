---@meta host

local host = {}

---@type { version: string, commit: string, branch: string, buildtime: string } from git, at build time
host.build = {}

--- Calls fn(...) protected; an error is logged with its traceback and counted. true when it did not raise.
---@param fn function
---@return boolean
function host.call(fn, ...) end

--- Callbacks that raised since the start.
---@return number
function host.errors() end

--- Ends the loop after the callback that runs now; the process ends with `code`.
---@param code integer|nil default 0
function host.exit(code) end

--- The longest turn of the loop in milliseconds since the last call.
---@return number
function host.take_stall() end

--- Collects all garbage and gives back to the system what only the start needed: code pages, free heap.
--- What is used again comes back by page faults. For a process that lives long.
function host.trim() end

return host
