-- Which mounts group FS examines, and how.

local M = {}

local function set(text)
  local words = {}
  for word in text:gmatch("%S+") do words[word] = true end
  return words
end

-- No storage of their own, or (overlay, squashfs) storage that another mount shows or that is always full.
local PSEUDO = [[ autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl
  hugetlbfs mqueue nfsd nsfs overlay proc pstore ramfs rootfs rpc_pipefs securityfs selinuxfs smackfs squashfs
  sysfs tracefs fuse.gvfsd-fuse fuse.lxcfs fuse.portal fuse.rofiles-fuse fuse.snapfuse
  fuse.vmware-vmblock ]]
-- Only these are ever written to: known to be on this machine, not at the end of a network or a daemon.
local LOCAL = [[ bcachefs btrfs exfat ext2 ext3 ext4 f2fs jffs2 jfs msdos nilfs2 ntfs3 reiserfs tmpfs ubifs
  udf vfat xfs zfs ]]
local SOURCES = { none = true, nodev = true, tmpfs = true }
local BELOW = { "/dev", "/sys", "/net", "/misc", "/proc", "/lib", "/run/docker/netns" }

local function is_below(path, folder)
  return path == folder or path:sub(1, #folder + 1) == folder .. "/"
end

local function is_wanted(entry, pseudo)
  if SOURCES[entry.source] or pseudo[entry.type] then return false end
  for _, folder in ipairs(BELOW) do
    if is_below(entry.mount, folder) then return false end
  end
  return true
end

-- Bind mounts of one device are one file system: what stands at the shortest path speaks for all.
local function shortest_of_each_device(list)
  local best = {}
  for _, entry in ipairs(list) do
    local source = entry.source
    if is_below(source, "/dev") and (not best[source] or #entry.mount < #best[source].mount) then
      best[source] = entry
    end
  end
  local kept = {}
  for _, entry in ipairs(list) do
    if (best[entry.source] or entry) == entry then kept[#kept + 1] = entry end
  end
  return kept
end

-- Of mounts on top of each other the last one is what one sees.
local function topmost(entries)
  local last, list = {}, {}
  for _, entry in ipairs(entries) do last[entry.mount] = entry end
  for _, entry in ipairs(entries) do
    if last[entry.mount] == entry then list[#list + 1] = entry end
  end
  return list
end

local function has_flag(options, flag)
  return options == flag or options:sub(1, #flag + 1) == flag .. ","
end

--- entries: of host.procfs.parse_mounts; rootfs: where the host's root is seen from here. Returns a list of
--- { mount = path on the host, path = path here, id = what makes it the same mount, remote = bool,
---   write = bool: may be written to }, in the order of the table.
function M.select(entries, rootfs)
  local pseudo, on_this_machine, wanted = set(PSEUDO), set(LOCAL), {}
  for _, entry in ipairs(topmost(entries)) do
    if is_wanted(entry, pseudo) then wanted[#wanted + 1] = entry end
  end
  local prefix = rootfs:gsub("/+$", "")
  local list = shortest_of_each_device(wanted)
  for i, entry in ipairs(list) do
    local is_local = on_this_machine[entry.type] or false
    list[i] = {
      mount = entry.mount,
      path = entry.mount == "/" and prefix ~= "" and prefix or prefix .. entry.mount,
      id = entry.mount .. "\0" .. entry.source .. "\0" .. entry.type,
      remote = not is_local,
      write = is_local and has_flag(entry.options, "rw"),
    }
  end
  return list
end

return M
