-- A directory on a file system that fails when the test says so (tests/helpers/faulty_fs.c).

local program = require("program")
local is_mounted = require("mounted")
local uv = require("luv")

local M = {}
M.__index = M

local helper = (os.getenv("AGENT") or "build/agent"):gsub("[^/]*$", "") .. "tests/helpers/faulty_fs"

--- Mounts it at `folder`/disk; nil, why when that isn't possible here.
function M.mount(folder)
  if not uv.fs_stat(helper) then return nil, "no libfuse3 to build " .. helper end
  if not uv.fs_stat("/dev/fuse") then return nil, "no /dev/fuse here" end
  local self = setmetatable({ path = folder .. "/disk", mode_file = folder .. "/mode" }, M)
  assert(uv.fs_mkdir(folder .. "/backing", 493))
  assert(uv.fs_mkdir(self.path, 493))
  self:set("ok")
  self.process = program.spawn(helper, { folder .. "/backing", self.mode_file, self.path, "-f" })
  program.wait("the file system", 10, function() return self.process.code or is_mounted(self.path) end)
  if self.process.code then return nil, "FUSE is not permitted here: " .. self.process.output end
  return self
end

--- "ok", "eio", "enospc", "erofs" or "hang".
function M:set(mode)
  program.write(self.mode_file .. ".new", mode)
  assert(uv.fs_rename(self.mode_file .. ".new", self.mode_file))
end

function M:unmount()
  self:set("ok")
  os.execute(("umount -l %s 2>/dev/null || fusermount3 -u -z %s"):format(self.path, self.path))
  self.process.kill()
  self.process.wait()
end

return M
