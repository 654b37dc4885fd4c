---@meta host.hash

--- A hash that is the same on every machine and in every run: FNV-1a of 32 bit, mixed once more.
local hash = {}

---@param bytes string
---@return integer 0 to 2^32 - 1
function hash.of(bytes) end

--- The hash as a fraction, 0 <= f < 1.
---@param bytes string
---@return number
function hash.fraction(bytes) end

return hash
