---@meta host.ping

--- ICMP echo, one socket of each family for any number of questions. Nothing blocks.
local ping = {}

---@class host.ping.sockets
local Sockets = {}

--- Opens what the kernel allows, then gives up all capabilities of this process (but root's): for worker processes.
---@return host.ping.sockets?, string?, string?
function ping.open() end

--- Readable when answers have come; nil where there is no socket of that family.
---@param family 4|6
---@return integer?
function Sockets:fd(family) end

--- Asks a numeric address.
---@param address string
---@param seq integer 0 to 65535; the answer has it
---@return true?, string?, string?
function Sockets:send(address, seq) end

--- The next answer: its number, and seconds until the kernel had it; nothing when there is none.
---@param family 4|6
---@return integer?, number?
function Sockets:receive(family) end

--- Any number of times.
function Sockets:close() end

return ping
