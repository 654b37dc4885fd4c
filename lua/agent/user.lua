-- Looks a user up where the system does (getpwnam(3): /etc/passwd, and by NSS also LDAP, sssd, …). It may block and
-- brings libraries along: for workers only.

local ffi = require("ffi")

ffi.cdef([[
struct agent_passwd {
  char *name, *password;
  unsigned int uid, gid;
  char *gecos, *dir, *shell;
};
struct agent_passwd *getpwnam(const char *name);
struct agent_passwd *getpwuid(unsigned int uid);
]])

local M = {}

local function plain(entry)
  if entry == nil then return nil end
  return { name = ffi.string(entry.name), uid = entry.uid, gid = entry.gid }
end

--- { name, uid, gid } of a user, or nil. Blocks.
---@param name string
function M.find(name)
  return plain(ffi.C.getpwnam(name))
end

--- The same by number.
---@param uid integer
function M.of(uid)
  return plain(ffi.C.getpwuid(uid))
end

return M
