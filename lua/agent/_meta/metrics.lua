---@meta host.metrics

--- The body of POST /post (contracts.md §4), or the output of a plugin (§5.4), read in slices.
local metrics = {}

---@class host.metrics.reader
local Reader = {}

---@class host.metrics.options
---@field prefix string|nil in front of every name, at most 64 bytes, default "RUN."
---@field refuse nil|fun(index: integer, name: string?, reason: string) with it entries that can't be used (null, of
--- wrong types, without a name or with a bad one, with empty tags) are passed over one by one and told, index from
--- 0; text behind the array is then an error. Without it the first such entry ends the reading.

---@field points host.metrics.points|nil for encode(); not together with refuse

---@class host.metrics.points
---@field host string the host tag of entries without one, as a JSON string with its quotes
---@field now string unix seconds, as digits: the time of entries without one
---@field max integer bytes of a body, 64 to 2^24
---@field encode fun(metric: table): string? makes the point of an entry that isn't plain, or none

---@param body string a JSON array of {name, value, tags?, timestamp?}, or null
---@param options host.metrics.options|nil
---@return host.metrics.reader
function metrics.reader(body, options) end

--- Appends up to `max` metrics to `list`, refused ones counted too. Returns true when there may be more,
--- false at the end; nil, message, code when the body is refused: "EJSON", or "ENAME" for a name with
--- other characters than 0-9 a-z A-Z - _ . (the message begins with "entry N:", from 0).
---@param list table[]
---@param max integer
---@return boolean?, string?, string?
function Reader:read(list, max) end

--- As read(), but appends to `bodies` what agent.publish.points would make of the metrics.
---@param bodies string[]
---@param max integer entries
---@return boolean?, string?, string?
function Reader:encode(bodies, max) end

return metrics
