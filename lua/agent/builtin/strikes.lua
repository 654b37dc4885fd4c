-- What had to be stopped by force runs again later each time: exponential, until it ends well.

local M = {}

local LONGEST = 3600 -- seconds

--- Counts one more strike of `item` (fields strikes, not_before) that runs each `interval` seconds.
--- Returns the seconds until it may run again.
function M.add(item, interval, now)
  item.strikes = (item.strikes or 0) + 1
  local pause = math.min(LONGEST, interval * 2 ^ math.min(item.strikes, 20))
  item.not_before = now + pause
  return pause
end

function M.clear(item)
  item.strikes, item.not_before = nil, nil
end

return M
