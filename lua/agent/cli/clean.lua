-- Removes the directories of the agent, and refuses whatever could be anything else.

local M = {}

-- Directories that hold more than the agent's own; also everything above them.
local shared = {
  "/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/usr/local/share", "/usr/bin", "/usr/sbin",
  "/usr/lib", "/usr/share", "/usr/include", "/usr/src", "/var/lib/dpkg", "/var/log", "/var/run", "/var/cache",
  "/var/spool", "/var/tmp", "/var/mail", "/run/user", "/run/systemd", "/etc/agent",
  "/lib/systemd", "/home", "/root", "/tmp", "/dev/shm",
}

local RM_MS = 60000

local function contains(directory, other)
  return other == directory or other:sub(1, #directory + 1) == directory .. "/"
end

--- Why the directory `path` is not removed; nil when it may be. `resolved`: its real path without links,
--- nil when it doesn't exist; `home`: the user's home directory or nil.
function M.danger(path, resolved, home)
  if path:sub(1, 1) ~= "/" then return "not an absolute path" end
  if ("/" .. path .. "/"):find("/%.%.?/") then return "contains . or .." end
  for _, name in ipairs({ (path:gsub("/+", "/"):gsub("/$", "")), resolved }) do
    local _, depth = name:gsub("/[^/]+", "")
    if depth < 2 then return "a top-level directory" end
    for _, other in ipairs(shared) do
      if contains(name, other) then return "holds more than the agent's files" end
    end
    if home and contains(name, home) then return "holds a home directory" end
    if name:find("^/home/[^/]+$") or name:find("^/dev/") or name:find("^/proc/") or name:find("^/sys/") then
      return "holds more than the agent's files"
    end
  end
end

-- rm walks by descriptors, never through a symbolic link, and stays on one file system.
local function remove_tree(path, callback)
  local handle, why = require("host.exec").run({
    path = "/bin/rm", argv = { "rm", "-rf", "--one-file-system", "--preserve-root=all", "--", path },
    deadline_ms = RM_MS, max_output = 4096,
  }, function(result)
    if result.code == 0 and result.signal == 0 and not result.timed_out then return callback() end
    local said = result.error and result.error.message or result.stderr:match("[^\n]+")
    callback({ code = "failed", message = ("cannot remove %s: %s"):format(path, said or "rm did not end well") })
  end)
  if not handle then callback({ code = "spawn", message = "cannot run rm: " .. why }) end
end

-- nil: nothing is there; false, why: not ours to remove; else the path without slashes at its end.
local function examine(path)
  local uv = require("luv")
  local bare = path:gsub("(.)/+$", "%1")
  local stat = uv.fs_lstat(bare)
  local why = M.danger(bare, stat and uv.fs_realpath(bare), uv.os_homedir())
  if not why and stat and stat.type ~= "directory" then why = "no directory but a " .. stat.type end
  if why then return false, why end
  return stat and bare
end

--- Removes each of `paths`, in order, with all that is below. callback(err, removed): the paths that are
--- gone; after the first refusal or failure the others stay. Looks at all of them before it removes any.
function M.remove(paths, callback)
  local found, removed = {}, {}
  for _, path in ipairs(paths) do
    local bare, why = examine(path)
    if bare == false then
      return callback({ code = "refused", message = ("%s is not removed: %s"):format(path, why) }, removed)
    end
    if bare then found[#found + 1] = bare end
  end
  local function next_one(i)
    if not found[i] then return callback(nil, removed) end
    remove_tree(found[i], function(err)
      if err then return callback(err, removed) end
      removed[i] = found[i]
      next_one(i + 1)
    end)
  end
  next_one(1)
end

return M
