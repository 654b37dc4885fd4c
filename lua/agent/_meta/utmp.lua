---@meta host.utmp

--- Records of wtmp and btmp, see utmp(5).
local utmp = {}

--- Bytes of one record on this machine.
utmp.record_size = 384

---@class host.utmp.login
---@field time integer unix seconds
---@field user string may be empty, as the others; no control characters, no spaces around
---@field device string the terminal: "pts/0", "ssh:notty"
---@field remote string the host it came from

--- The logins among the whole records in `bytes` (a partial last one is ignored), in the file's order.
---@param bytes string
---@param kind "logins"|"failures" whose records they are: wtmp's or btmp's
---@param since? number unix seconds; older records are left out; default 0
---@return host.utmp.login[] logins
---@return integer? first the time of the first record, login or not; nil without a whole record
function utmp.logins(bytes, kind, since) end

return utmp
