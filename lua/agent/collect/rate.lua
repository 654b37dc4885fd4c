-- What every collector of counters needs: the contract's rounding, and when a difference is no rate.

local floor, ceil = math.floor, math.ceil

local M = {
  -- Seconds between two samples below which their difference is noise (the kernel counts in ticks of
  -- 1 … 10 ms): no sample then, and the older one stays the base.
  shortest = 0.1,
}

--- numerator / denominator, truncated toward zero to two decimals. Multiplies before it divides: 29 of 10000
--- as a percentage is 0.29, where 0.29 * 100 would already be 28.999… .
function M.truncated(numerator, denominator)
  local hundredths = numerator * 100 / denominator
  return (hundredths < 0 and ceil(hundredths) or floor(hundredths)) / 100
end

--- Adds a problem to those of one run (nil, or what this returned before); the first code stands for all.
function M.problem(problems, message, code)
  if not problems then return { code = code, message = message } end
  problems.message = problems.message .. "; " .. message
  return problems
end

return M
