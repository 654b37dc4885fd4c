-- Where the C modules are that only workers load (curl): they weigh more than the whole supervisor, so
-- they are shared objects beside the executable, found from where it really is.

local M = {}

--- The patterns for package.cpath that belong to the executable `exe`: lib/agent/ beside it as it is
--- built, and one floor up as it is installed (PREFIX/bin/agent).
function M.patterns(exe)
  local dir = exe:gsub(" %(deleted%)$", ""):match("^(.*)/[^/]*$")
  return ("%s/lib/agent/?.so;%s/lib/agent/?.so"):format(dir, dir:match("^(.*)/[^/]*$") or "")
end

--- Makes them known to require() in this process.
function M.enable()
  local exe = require("luv").fs_readlink("/proc/self/exe")
  if exe then package.cpath = M.patterns(exe) .. ";" .. package.cpath end
end

return M
