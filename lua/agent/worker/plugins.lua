-- What the plugin room wants from disk and from the user database; both may hang.

local uv = require("luv")

local DIRECTORY = "plugin.disabled" -- contracts.md §5.5: empty files NS|PROJECT, as old as the disabling

local function fail(path, why)
  error({ message = ("%s: %s"):format(path, why) })
end

local function markers(pluginsdir)
  local directory, found = pluginsdir .. "/" .. DIRECTORY, {}
  local scan, why = uv.fs_scandir(directory)
  if not scan then
    if why:find("^ENOENT") then return found end
    fail(directory, why)
  end
  for name in function() return uv.fs_scandir_next(scan) end do
    local stat = uv.fs_lstat(directory .. "/" .. name)
    if stat and stat.type == "file" then found[name] = stat.mtime.sec end
  end
  return found
end

local function make_directories(path)
  local above = path:match("^(.+)/[^/]+$")
  if above and not uv.fs_stat(above) then make_directories(above) end
  uv.fs_mkdir(path, 493)
end

-- The file is made anew, so that its age is the time of this call.
local function disable(pluginsdir, name)
  local directory = pluginsdir .. "/" .. DIRECTORY
  make_directories(directory)
  local path = directory .. "/" .. name
  uv.fs_unlink(path)
  local fd, why = uv.fs_open(path, "wx", 420)
  if not fd then fail(path, why) end
  uv.fs_close(fd)
end

local function enable(pluginsdir, name)
  local path = pluginsdir .. "/" .. DIRECTORY .. "/" .. name
  local ok, why = uv.fs_unlink(path)
  if not ok and not why:find("^ENOENT") then fail(path, why) end
end

-- "UID:GID" that plugins run as; nil: as the agent itself.
local function owner(user)
  local uid = uv.getuid()
  local found = require("agent.user").find(user)
  if user ~= "" and not found then error({ message = ("agent.pluginsuser: there is no user %q"):format(user) }) end
  if user == "" or found.uid == uid then return nil end
  if uid ~= 0 then
    error({ message = ("agent.pluginsuser: only root can run plugins as %q"):format(user) })
  end
  return ("%d:%d"):format(found.uid, found.gid)
end

--- request: { op = "prepare", dir =, user = }: returns { owner = "UID:GID" | nil, disabled = name → unix seconds of
--- its disabling }; { op = "disable" | "enable", dir =, name = "NS|PROJECT" }. dir: agent.pluginsdir.
return function(request)
  if request.op == "prepare" then return { owner = owner(request.user), disabled = markers(request.dir) } end
  if request.op == "disable" then return disable(request.dir, request.name) end
  return enable(request.dir, request.name)
end
