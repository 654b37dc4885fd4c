-- Work on directories, in order and blocking: for workers. Errors are raised as { code = "failed", message = }.

local uv = require("luv")

local M = {}

local function check(ok, why, path)
  if not ok then error({ code = "failed", message = why or path }, 0) end
  return ok
end
M.check = check

--- Makes a directory with all above it. What is there already stays as it is; a file in its place is an error.
function M.make(path, mode)
  local made, why, code = uv.fs_mkdir(path, mode)
  if made then return check(uv.fs_chmod(path, mode)) end -- whatever the umask is
  if code == "ENOENT" then
    M.make(path:match("^(.+)/[^/]+$") or "/", 493)
    return M.make(path, mode)
  end
  local there = code == "EEXIST" and uv.fs_lstat(path)
  check(there and there.type == "directory", why)
end

--- Names in a directory with their types; none for one that isn't there.
function M.list(path)
  local request = uv.fs_scandir(path)
  local names = {}
  while request do
    local name, kind = uv.fs_scandir_next(request)
    if not name then break end
    names[name] = kind or (uv.fs_lstat(path .. "/" .. name) or {}).type
  end
  return names
end

--- Removes what is at `path`, with all below it; follows no link.
function M.remove(path)
  local stat = uv.fs_lstat(path)
  if not stat then return end
  if stat.type ~= "directory" then return check(uv.fs_unlink(path)) end
  for name in pairs(M.list(path)) do M.remove(path .. "/" .. name) end
  check(uv.fs_rmdir(path))
end

--- The home of a plugin's runs: theirs alone. owner: "UID:GID", or nil for our own user.
function M.make_home(path, owner)
  M.make(path, 448)
  local uid, gid = (owner or ""):match("^(%d+):(%d+)$")
  if not uid then return end
  local stat = check(uv.fs_lstat(path))
  if stat.uid ~= tonumber(uid) or stat.gid ~= tonumber(gid) then
    check(uv.fs_lchown(path, tonumber(uid), tonumber(gid)))
  end
end

return M
