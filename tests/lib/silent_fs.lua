-- Mounts tests/helpers/silent_fs.c, a file system that never answers.
local exec = require("host.exec")
local is_mounted = require("mounted")
local uv = require("luv")
local wait = require("wait")

local M = {}

local helper = (os.getenv("AGENT") or "build/agent"):gsub("[^/]*$", "") .. "tests/helpers/silent_fs"

local START = 'exec "$0" "$1" -f -o subtype=silent >"$2"'

--- Starts the file system at a new directory: { dir =, process =, requests = a file with a line for each that it
--- has taken }. nil, why when that isn't possible here.
function M.mount()
  if not uv.fs_stat(helper) then return nil, "no libfuse3 to build " .. helper end
  if not uv.fs_stat("/dev/fuse") then return nil, "no /dev/fuse here" end
  local silent = { dir = assert(uv.fs_mkdtemp("/tmp/agent-silent-XXXXXX")) }
  silent.requests = silent.dir .. ".requests"
  silent.process = assert(exec.run({ argv = { "/bin/sh", "-c", START, helper, silent.dir, silent.requests },
    deadline_ms = 0 }, function(result) silent.result = result end))
  wait.until_true(function() return silent.result or is_mounted(silent.dir) end)
  if silent.result then
    os.remove(silent.requests)
    uv.fs_rmdir(silent.dir)
    return nil, "FUSE is not permitted here: " .. silent.result.stderr
  end
  return silent
end

--- Lets it answer from now on.
function M.answer(silent) uv.kill(silent.process:pid(), "sigusr1") end

--- Ends it; who hangs in it is let go.
function M.unmount(silent)
  M.answer(silent)
  os.execute(("umount -l %s 2>/dev/null || fusermount3 -u -z %s"):format(silent.dir, silent.dir))
  silent.process:kill("KILL")
  wait.until_true(function() return silent.result end)
  uv.fs_rmdir(silent.dir)
  os.remove(silent.requests)
end

return M
