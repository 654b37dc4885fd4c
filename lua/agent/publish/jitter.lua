-- How long to wait before the next try: full jitter, so that a thousand agents don't come back at once.
-- https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

local M = {}

local FIRST_MS, CAP_MS = 100, 3000

--- [0, 1). LuaJIT's own generator starts the same on every host: no jitter between them.
function M.random()
  local a, b, c = require("luv").random(3):byte(1, 3)
  return (a * 65536 + b * 256 + c) / 16777216
end

--- Milliseconds before try number failures + 1, 0 to 3000. random() is from [0, 1).
function M.delay(failures, random)
  return math.floor(random() * math.min(CAP_MS, FIRST_MS * 2 ^ math.min(failures, 20)))
end

return M
