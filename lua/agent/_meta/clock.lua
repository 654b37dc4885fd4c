---@meta host.clock

local clock = {}

--- CLOCK_MONOTONIC in seconds: for schedules and deadlines.
---@return number
function clock.mono() end

--- CLOCK_REALTIME in seconds since 1970: for timestamps.
---@return number
function clock.wall() end

return clock
