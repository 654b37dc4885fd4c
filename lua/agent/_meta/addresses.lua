---@meta host.addresses

local addresses = {}

---@class host.addresses.entry
---@field name string of the interface, or the label of an address such as "eth0:1"
---@field ip string numeric; IPv6 as RFC 5952 writes it
---@field index integer of the interface
---@field up boolean
---@field loopback boolean

--- The IPv4 and IPv6 addresses of all interfaces, in the order of the kernel's answer.
---@return host.addresses.entry[]|nil, string|nil, string|nil
function addresses.list() end

return addresses
