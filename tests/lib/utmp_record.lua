-- Makes records of wtmp and btmp as glibc writes them, see utmp(5).

local function padded(text, width)
  return text:sub(1, width) .. ("\0"):rep(width - #text)
end

local function le32(n)
  local function byte(shift) return math.floor(n / 2 ^ shift) % 256 end
  return string.char(byte(0), byte(8), byte(16), byte(24))
end

--- fields: type, user, line, host, time. The size follows the machine's (384 bytes, or 400).
return function(fields)
  local wide = require("host.utmp").record_size == 400
  local head = le32(fields.type or 7) .. le32(42) .. padded(fields.line or "", 32) .. "ts/0" ..
    padded(fields.user or "", 32) .. padded(fields.host or "", 256) .. le32(0)
  local zero = wide and le32(0) or ""
  local body = head .. zero .. (wide and zero or le32(0)) .. le32(fields.time) .. zero .. le32(0) .. zero
  return body .. ("\0"):rep((wide and 400 or 384) - #body)
end
