-- Units of systemd, as `systemctl show` tells of them, and how many have failed.

local SYSTEMCTL = { "/usr/bin/systemctl", "/bin/systemctl" }
local PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,NRestarts,MemoryCurrent,CPUUsageNSec,TasksCurrent,"
  .. "ActiveEnterTimestampMonotonic,ExecMainStatus"
local MANAGER = "Version,SystemState,NFailedUnits,NNames,NJobs"
local MOST = 200

-- Blocks of NAME=value, with an empty line between them.
local function parse(text)
  local units, unit = {}, nil
  for line in text:gmatch("([^\n]*)\n?") do
    local name, value = line:match("^(%w+)=(.*)$")
    if name then
      if not unit then
        unit = {}
        units[#units + 1] = unit
      end
      unit[name] = value
    elseif line == "" then
      unit = nil
    end
  end
  return units
end

-- "[not set]" and 2^64 - 1, as older versions write it, are no numbers.
local function number(text)
  local value = text and text:find("^%d+$") and tonumber(text)
  return value and value < 1.8e19 and value or nil
end

local function show(ctx, properties, units)
  local argv = { "", "--no-pager", "show", "--property=" .. properties }
  if units[1] then argv[#argv + 1] = "--" end
  for _, unit in ipairs(units) do argv[#argv + 1] = unit end
  local result, why, code
  for _, program in ipairs(SYSTEMCTL) do
    argv[1] = program
    result, why, code = ctx.exec(argv)
    if result or code ~= "ENOENT" then break end
  end
  if not result then return nil, why end
  if result.timed_out then return nil, "systemctl does not come to an end" end
  if result.code ~= 0 then
    local said = result.stderr:match("[^\n]+") or ("exit status %d"):format(result.code)
    return nil, "systemctl: " .. said
  end
  if result.truncated then return nil, "systemctl: more than 1 MiB" end
  return parse(result.stdout)
end

local function checked(units)
  if #units > MOST then return nil, ("units: more than %d"):format(MOST) end
  for _, unit in ipairs(units) do
    local good = type(unit) == "string" and #unit <= 255 and unit:find("^[%w:_.\\@*?%[%]-]+$")
    if not good or unit:byte() == 45 then
      return nil, ("units: %q is no unit, such as nginx.service or php*.service"):format(tostring(unit))
    end
  end
  return units
end

local active = { active = true, reloading = true, refreshing = true }

local function add_unit(add, unit, ctx)
  local name, state = unit.Id, unit.ActiveState
  local cpu = number(unit.CPUUsageNSec)
  local since = number(unit.ActiveEnterTimestampMonotonic)
  add("active", active[state] and 1 or 0)
  add("failed", state == "failed" and 1 or 0)
  add("loaded", unit.LoadState == "loaded" and 1 or 0)
  add("state", ("%s/%s"):format(state, unit.SubState or "-"))
  add("restarts", number(unit.NRestarts))
  add("memory", number(unit.MemoryCurrent))
  add("tasks", number(unit.TasksCurrent))
  add("exit_status", number(unit.ExecMainStatus))
  local per_second = cpu and ctx.rate(name .. " cpu", cpu)
  add("cpu", per_second and per_second / 1e7)
  if since and since > 0 and active[state] then add("uptime", math.max(0, math.floor(ctx.mono() - since / 1e6))) end
end

local function add_manager(list, manager)
  list["units.failed"] = number(manager.NFailedUnits)
  list["units.known"] = number(manager.NNames)
  list["jobs"] = number(manager.NJobs)
  if manager.SystemState then
    list["system.state"] = manager.SystemState
    list["system.running"] = manager.SystemState == "running" and 1 or 0
  end
end

local function run(params, ctx)
  local units, why = checked(params.units or {})
  if not units then return nil, why end
  local manager, shown
  manager, why = show(ctx, MANAGER, {})
  if not manager then return nil, why end
  local list, seen = {}, {}
  add_manager(list, manager[1] or {})
  if not units[1] then return list end
  shown, why = show(ctx, PROPERTIES, units)
  if not shown then return nil, why end
  for _, unit in ipairs(shown) do
    if unit.Id and unit.ActiveState and not seen[unit.Id] then
      seen[unit.Id] = true
      local tags = { unit = unit.Id }
      add_unit(function(name, value)
        if value then list[#list + 1] = { name = name, value = value, tags = tags } end
      end, unit, ctx)
    end
  end
  return list
end

return {
  description = "units of systemd: state, restarts, memory, CPU, tasks; and how many units have failed",
  params = {
    units = { type = "list", description = "names; with * ? [abc] those that systemd has loaded" },
  },
  interval = 30,
  run = run,
  parse = parse,
}
