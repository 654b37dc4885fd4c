-- Who this machine is to the registry, and who it was when the registry last took a report (contracts.md
-- §1.5, §1.6). Reads and writes files: for the registry worker.

local uv = require("luv")

local M = {}

local MODE_FILE, MODE_FOLDER = 420, 493 -- 0644, 0755
local LARGEST = 65536

local function read(path)
  local fd, why, code = uv.fs_open(path, "r", 0)
  if not fd then return nil, why, code end
  local text
  text, why, code = uv.fs_read(fd, LARGEST, 0)
  uv.fs_close(fd)
  return text, why, code
end

-- All parents too.
local function make_folder(path)
  if uv.fs_stat(path) then return end
  local parent = path:match("^(.+)/[^/]+/*$")
  if parent then make_folder(parent) end
  uv.fs_mkdir(path, MODE_FOLDER)
end

-- Whole or not at all, also for a reader at the same moment and after a crash.
local function write(path, text)
  local temporary = ("%s.%d"):format(path, uv.os_getpid())
  uv.fs_unlink(temporary)
  local fd, why = uv.fs_open(temporary, "wx", MODE_FILE)
  if not fd then return nil, why end
  local ok = uv.fs_fchmod(fd, MODE_FILE) and uv.fs_write(fd, text, 0) == #text and uv.fs_fsync(fd)
  uv.fs_close(fd)
  if ok and uv.fs_rename(temporary, path) then return true end
  uv.fs_unlink(temporary)
  return nil, path .. ": not written"
end

local function matches(name, prefixes)
  for _, prefix in ipairs(prefixes) do
    if name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

-- Loopback, 169.254/16 and fe80::/10 say nothing about where a machine is.
local function is_local(ip)
  return ip:find("^127%.") or ip == "::1" or ip:find("^169%.254%.") or ip:find("^fe[89ab]%x:")
end

--- The addresses that are reported: of interfaces that are up and whose name begins with one of
--- `prefixes` (none: none), in the kernel's order of interfaces, then of addresses.
--- list: what host.addresses.list() returns.
function M.addresses(list, prefixes)
  local kept, ips = {}, {}
  for i, one in ipairs(list) do
    local name = one.name:match("^[^:]*")
    if one.up and not one.loopback and matches(name, prefixes) and not is_local(one.ip) then
      kept[#kept + 1] = { ip = one.ip, index = one.index, place = i }
    end
  end
  table.sort(kept, function(a, b)
    if a.index ~= b.index then return a.index < b.index end
    return a.place < b.place
  end)
  for i, one in ipairs(kept) do ips[i] = one.ip end
  return ips
end

--- The hardware's serial number, "" when it can't be read. The Go agent removed the spaces and kept the
--- newline at the end, and the registry compares byte by byte.
function M.serial(sysfs)
  local text = read(sysfs .. "/class/dmi/id/product_serial")
  return (text or ""):gsub("[ %z\1-\3]", "")
end

-- What a cache file holds; on the first run, or when it is blank, it is written now. nil: nothing known.
local function remembered(path, current, may_be_blank)
  local text, _, code = read(path)
  if text and (may_be_blank or text:find("%S")) then return text end
  if text or code == "ENOENT" then write(path, current) end
  return nil
end

local function split(text)
  local list = {}
  for one in (text .. ","):gmatch("([^,]*),") do list[#list + 1] = one end
  return list
end

--- options: pluginsdir, sysfs, ifaceprefix (list), hostname, addresses (a list as from host.addresses).
--- Returns { hostname =, sn =, ips = {…}, old_hostname =, old_ips = {…} | nil, renamed = bool, moved = bool,
--- changed = either }. What can't be read counts as unchanged.
function M.read(options)
  local who = { hostname = options.hostname, sn = M.serial(options.sysfs),
    ips = M.addresses(options.addresses, options.ifaceprefix) }
  local dir, joined = options.pluginsdir, table.concat(who.ips, ",")
  make_folder(dir)
  who.old_hostname = remembered(dir .. "/.hostname", who.hostname) or who.hostname
  local old = remembered(dir .. "/.ip", joined, true)
  who.old_ips = old and split(old)
  who.renamed = who.old_hostname ~= who.hostname
  who.moved = old ~= nil and old ~= joined
  who.changed = who.renamed or who.moved
  return who
end

--- To be called when the registry has taken a report of `who` with a 200, and only then.
function M.remember(who, pluginsdir)
  if who.renamed then write(pluginsdir .. "/.hostname", who.hostname) end
  if who.moved and who.ips[1] then write(pluginsdir .. "/.ip", table.concat(who.ips, ",")) end
end

return M
