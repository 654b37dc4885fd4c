---@meta host.ntp

--- Packets of an NTPv4 client (RFC 5905).
local ntp = {}

---@class host.ntp.sample
---@field offset number seconds, positive: the server is ahead
---@field delay number seconds on the way there and back
---@field stratum integer 1..15

--- A request of 48 bytes with the cookie in place of our time.
---@param cookie string 8 random bytes
---@return string
function ntp.request(cookie) end

--- Judges a datagram that came as answer to request(cookie). Refusals by code: "short", "not_a_reply",
--- "stranger" (another origin), "kiss" (the message is the kiss code: "RATE", "DENY", …),
--- "unsynchronized", "insane".
---@param bytes string
---@param cookie string
---@param sent number wall clock at the request, unix seconds
---@param elapsed number seconds from request to reply by the monotonic clock
---@return host.ntp.sample? sample
---@return string? message
---@return string? code
function ntp.judge(bytes, cookie, sent, elapsed) end

return ntp
