-- Examines file systems one after another; any of them may hang this process for ever.
local fs = require("host.fs")

local NAME = ".loda-fs-detect"

-- 1, 0, or nil where only our own rights are in the way.
local function verdict(ok, code)
  if ok then return 1 end
  if (code == "EACCES" or code == "EPERM") and require("luv").getuid() ~= 0 then return nil end
  return 0
end

local function examine(mount)
  local usage, why, code = fs.usage(mount.path)
  if not usage then return { error = why, code = code } end
  local ok
  if mount.write then
    ok, why, code = fs.write(mount.path, NAME, "FS-RW" .. os.date("%Y-%m-%d %H:%M:%S"))
  else
    ok, why, code = fs.list(mount.path)
  end
  usage.rw = verdict(ok, code)
  if usage.rw == 0 then usage.why = why end
  return usage
end

--- request: a list of { path = where it is seen from here, write = bool: may be written to }. Emits for
--- number i, in order: { i } when it begins, { i, result }: host.fs.usage with rw = 1 | 0 | nil, why = why
--- not; or { error =, code = }.
return function(mounts, emit)
  for i, mount in ipairs(mounts) do
    emit({ i })
    emit({ i, examine(mount) })
  end
end
