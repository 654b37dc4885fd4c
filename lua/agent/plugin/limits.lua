-- What a run may use, and which of it nobody holds on this host.

local M = {}

--- The limits of conf.plugins with those that the item has of its own, for host.exec.
---@param conf table conf.plugins
---@param own table? of the item, under the names of host.exec
---@return host.exec.limits
function M.of(conf, own)
  own = own or {}
  local cpu = own.cpu or conf.cpu
  return {
    cpu_s = own.cpu_s or conf.cpuseconds, address_space = own.address_space or conf.addressspace,
    processes = own.processes or conf.processes, open_files = own.open_files or conf.openfiles,
    file_size = own.file_size or conf.filesize, core = 0,
    memory = own.memory or conf.memory, cpu = cpu > 0 and cpu or nil,
  }
end

--- The limits that need a controller of cgroup v2 which isn't ours to use here: their names, and why; nil when all
--- hold, or it isn't known yet. `cpu` counts where it is set.
---@param conf table conf.plugins
---@param cgroups host.exec.cgroups?
---@return string? names, string? why
function M.not_held(conf, cgroups)
  if not cgroups then return nil end
  local names = {}
  if not cgroups.memory then names[1] = "plugins.memory" end
  if not cgroups.cpu and conf.cpu > 0 then names[#names + 1] = "plugins.cpu" end
  if not names[1] then return nil end
  return table.concat(names, ", "), cgroups.why or "the controllers are not handed down to " .. cgroups.directory
end

return M
