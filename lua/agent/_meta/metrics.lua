---@meta host.metrics

--- The body of POST /post (contracts.md §4), read in slices.
local metrics = {}

---@class host.metrics.reader
local Reader = {}

---@param body string a JSON array of {name, value, tags?, timestamp?}, or null
---@return host.metrics.reader
function metrics.reader(body) end

--- Appends up to `max` metrics to `list`, names with "RUN." in front. Returns true when there may be more,
--- false at the end; nil, message, code when the body is refused: "EJSON", or "ENAME" for a name with
--- other characters than 0-9 a-z A-Z - _ . (the message begins with "entry N:", from 0).
---@param list table[]
---@param max integer
---@return boolean?, string?, string?
function Reader:read(list, max) end

return metrics
