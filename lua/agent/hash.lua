-- A hash of strings that is the same on every machine and in every run.

local bit = require("bit")

local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit

local M = {}

--- FNV-1a of 32 bit (draft-eastlake-fnv), mixed once more, for similar names must differ in every bit.
---@param s string
---@return integer signed
function M.of(s)
  local h = 0x811c9dc5
  for i = 1, #s do
    h = bxor(h, s:byte(i))
    h = tobit(h + lshift(h, 1) + lshift(h, 4) + lshift(h, 7) + lshift(h, 8) + lshift(h, 24))
  end
  h = bxor(h, rshift(h, 16))
  h = tobit(h + lshift(h, 3) + lshift(h, 11))
  return bxor(h, rshift(h, 13))
end

--- The hash as a fraction, 0 <= f < 1.
function M.fraction(s)
  return bit.band(M.of(s), 0x7fffffff) / 0x80000000
end

return M
