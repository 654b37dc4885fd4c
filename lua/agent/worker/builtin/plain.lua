-- Plain data out of what foreign code made: copies of bounded size, without functions, metatables or cycles.

local M = {}

local SHORTEST = 8 -- bytes that any value counts for

local copy

local function copy_table(value, left, depth)
  if depth == 0 then error("nested too deep, or a cycle", 0) end
  local result = {}
  for key, one in next, value do
    local kind = type(key)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      error(("a key is a %s"):format(kind), 0)
    end
    result[copy(key, left, depth)] = copy(one, left, depth - 1)
  end
  return result
end

function copy(value, left, depth)
  local kind = type(value)
  left.bytes = left.bytes - SHORTEST - (kind == "string" and #value or 0)
  if left.bytes < 0 then error(("more than %d bytes"):format(left.limit), 0) end
  if kind == "table" then return copy_table(value, left, depth) end
  if kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then return value end
  error(("holds a %s"):format(kind), 0)
end

--- A copy of `value` of at most `bytes`; raises a sentence that says why there is none.
function M.copy(value, bytes)
  return copy(value, { bytes = bytes, limit = bytes }, 20)
end

return M
