-- kernel.files.*: what group FS sends besides its mounts.

local rate = require("agent.collect.rate")

local M = {}

--- Reads /proc/sys/fs/file-nr and file-max. Returns a list of metrics, or nil, message, code.
function M.read(procfs)
  local files, message, code = procfs:files()
  if not files then return nil, message, code end
  local percent = files.max > 0 and rate.truncated(100 * files.allocated, files.max) or 0
  return {
    { name = "kernel.files.max", value = files.max },
    { name = "kernel.files.allocated", value = files.allocated },
    { name = "kernel.files.allocated.percent", value = percent },
    { name = "kernel.files.left", value = files.max - files.allocated },
  }
end

return M
