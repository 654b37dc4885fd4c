-- ICMP echo: loss and round trip of hosts, all asked at the same time.

local NEEDS = "ping needs CAP_NET_RAW, which an agent started by root gives its builtin functions, or a group of "
  .. "net.ipv4.ping_group_range"

local function targets_of(params)
  local hosts = params.hosts or {}
  if not hosts[1] then return nil, "params.hosts is missing: names or addresses" end
  if #hosts > 100 then return nil, "hosts: more than 100" end
  local targets = {}
  for _, host in ipairs(hosts) do
    if type(host) ~= "string" or not host:find("^[%w:.%%_-]+$") or #host > 253 then
      return nil, ("hosts: %q is no name and no address"):format(tostring(host))
    end
    targets[#targets + 1] = { host = host, took = {}, count = 0 }
  end
  return targets
end

local function outside(params, name, least, most)
  local value = params[name]
  if value >= least and value <= most then return nil end
  return ("%s: %g is not %g to %g"):format(name, value, least, most)
end

local function wrong(params, ctx)
  local why = outside(params, "count", 1, 100) or outside(params, "pause", 0.01, 10)
    or outside(params, "timeout", 0.01, 30)
  if why then return why end
  local family, left = params.family, ctx.deadline()
  if family ~= 0 and family ~= 4 and family ~= 6 then return ("family: %g is not 4, 6 or 0"):format(family) end
  local needs = params.count * math.max(params.pause, params.timeout)
  if needs > left - 0.2 then
    return ("count x timeout (or pause) is %g s, a run has %.1f s"):format(needs, left)
  end
end

-- The first address of the family that is wanted.
local function find_address(target, params, ctx)
  local list, why = ctx.resolve(target.host, { timeout = params.timeout })
  if not list then
    target.why = why
    return
  end
  for _, address in ipairs(list) do
    local family = address:find(":", 1, true) and 6 or 4
    if params.family == 0 or params.family == family then
      target.address = address
      return
    end
  end
  target.why = ("%s: has no address of IPv%d"):format(target.host, params.family)
end

local function ask_all(targets, addresses, params, ctx)
  for i = 1, params.count do
    local began = ctx.mono()
    local found, why, code = ctx.ping(addresses, { timeout = params.timeout })
    if code == "EPERM" then return nil, NEEDS end
    if not found then return nil, why end
    for _, target in ipairs(targets) do
      local took = target.address and found[target.address]
      if took then
        target.count = target.count + 1
        target.took[target.count] = took
      else
        target.why = why[target.address] or target.why
      end
    end
    local left = params.pause - (ctx.mono() - began)
    if i < params.count and left > 0 then ctx.sleep(left) end
  end
  return true
end

local function milliseconds(seconds) return math.floor(seconds * 1e6 + 0.5) / 1000 end

local function add_metrics(list, target, params)
  local tags = { host = target.host, address = target.address }
  local function add(name, value) list[#list + 1] = { name = name, value = value, tags = tags } end
  add("loss", 100 * (params.count - target.count) / params.count)
  add("up", target.count > 0 and 1 or 0)
  if target.count == 0 then return end
  local sum, least, most = 0, math.huge, 0
  for _, took in ipairs(target.took) do
    sum, least, most = sum + took, math.min(least, took), math.max(most, took)
  end
  add("rtt.min", milliseconds(least))
  add("rtt.avg", milliseconds(sum / target.count))
  add("rtt.max", milliseconds(most))
end

local function tell_silent(target, ctx, reasons)
  local before = ctx.state.reasons or {}
  reasons[target.host] = target.why
  if target.why and before[target.host] ~= target.why then ctx.log("warning", target.why) end
end

local function run(params, ctx)
  local targets, why = targets_of(params)
  if not targets then return nil, why end
  why = wrong(params, ctx)
  if why then return nil, why end
  local addresses = {}
  for _, target in ipairs(targets) do
    find_address(target, params, ctx)
    addresses[#addresses + 1] = target.address
  end
  local ok
  ok, why = ask_all(targets, addresses, params, ctx)
  if not ok then return nil, why end
  local list, reasons = {}, {}
  for _, target in ipairs(targets) do
    if target.count == 0 then tell_silent(target, ctx, reasons) end
    add_metrics(list, target, params)
  end
  ctx.state.reasons = reasons
  return list
end

return {
  description = "loss and round trip of ICMP echo, IPv4 and IPv6",
  params = {
    hosts = { type = "list", description = "names or addresses" },
    count = { type = "number", default = 3, description = "requests in one run" },
    pause = { type = "number", default = 0.2, description = "seconds between them" },
    timeout = { type = "number", default = 1, description = "seconds that each may take" },
    family = { type = "number", default = 0, description = "4 or 6; 0: what the resolver prefers" },
  },
  interval = 60,
  run = run,
}
