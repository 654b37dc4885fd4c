-- Whether this program is built with a sanitizer that maps terabytes, so that no RLIMIT_AS can hold.
local M = {}

function M.present()
  local file = assert(io.open("/proc/self/status"))
  local kilobytes = tonumber(file:read("*a"):match("VmSize:%s*(%d+)"))
  file:close()
  return kilobytes > 2 ^ 30
end

return M
