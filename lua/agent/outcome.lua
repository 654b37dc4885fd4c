-- How a finished run of a plugin or builtin becomes points: names and namespaces by contracts.md §3 and §5.4.

local M = {}
M.__index = M

local FAILURE = { plugin = "plugin.result", goplugin = "goplugin.result" }

local USAGE = {
  { "seconds", "agent.plugin.seconds" }, { "cpu_ms", "agent.plugin.cpu_ms" }, { "maxrss", "agent.plugin.maxrss" },
  { "output_bytes", "agent.plugin.output_bytes" },
}

-- Metrics that are published, and with that encoded, in one turn of the loop: some milliseconds.
local SLICE = 500

local MEANING = { "failed", "timed out", "output refused" }

local function is_sec(project)
  return project ~= nil and project:match("[^/]*$"):find("^SEC%-") ~= nil
end

-- The registry names plugins `PLUGIN.x`; a name without that means the same.
local function short(item_name)
  return (item_name:gsub("^PLUGIN%.", ""))
end

--- The measurement of a metric: `PLUGIN.<plugin>.<metric>`, of a project whose name begins with `SEC-`
--- `SEC.<item>.<metric>`.
---@param item_name string as in the item: "PLUGIN.mysql" or "mysql"
---@param project string? "group/project"
---@param metric string as the plugin named it
---@return string
function M.measurement(item_name, project, metric)
  if is_sec(project) then return "SEC." .. item_name .. "." .. metric end
  return "PLUGIN." .. short(item_name) .. "." .. metric
end

--- The namespace that the metrics go to: the item's own, of a `SEC-` project `sec.` and the item's without
--- its first label. nil and the reason where there is none.
---@param ns string
---@param project string?
---@return string? ns, string? message
function M.target(ns, project)
  if not is_sec(project) then return ns end
  local rest = ns:match("^[^.]*%.(.+)$")
  if not rest then return nil, ("namespace %s has no label but its first, so no sec. namespace"):format(ns) end
  return "sec." .. rest
end

--- options: emit(namespaces, metrics), as of agent.publish; exception: the namespace that failures go to,
--- "" for none (conf agent.exceptionns); log; later(fn): calls fn in another turn of the loop, without it
--- everything is published at once.
function M.new(options)
  return setmetatable({ emit = options.emit, exception = options.exception or "", log = options.log,
    later = options.later }, M)
end

-- In one emit, unless that would keep the loop busy for long.
local function publish(self, ns, list)
  if #list <= SLICE or not self.later then return self.emit({ ns }, list) end
  local from = 1
  local function publish_on()
    self.emit({ ns }, { unpack(list, from, math.min(from + SLICE - 1, #list)) })
    from = from + SLICE
    if from <= #list then self.later(publish_on) end
  end
  return publish_on()
end

-- What the program measured, under its full name; everything else is kept as it is.
local function named(run)
  local list = {}
  for i, metric in ipairs(run.metrics or {}) do
    list[i] = { name = M.measurement(run.name, run.project, metric.name), value = metric.value, tags = metric.tags,
      timestamp = metric.timestamp }
  end
  return list
end

local function append_about_run(list, run)
  local plugin = short(run.name)
  list[#list + 1] = { name = "plugin." .. plugin, value = run.status,
    tags = { commit = run.commit or "-", type = run.type or "regular" } }
  for _, pair in ipairs(USAGE) do
    local value = run.usage and run.usage[pair[1]]
    if value then list[#list + 1] = { name = pair[2], value = value, tags = { plugin = plugin } } end
  end
end

local function report_failure(self, run)
  self.log.warning(run.kind, "run " .. MEANING[run.status],
    { ns = run.ns, name = run.name, reason = run.reason or "", commit = run.commit or "" })
  if self.exception == "" then return end
  local tags = { ns = run.ns, name = run.project or run.name }
  if run.kind == "plugin" then tags.type = run.type or "regular" end
  self.emit({ self.exception }, { { name = FAILURE[run.kind], value = 1, tags = tags } })
end

--- Publishes some of the metrics of a run before its report: many at once would hold up the loop.
---@param run table as for report()
function M:part(run)
  local target = M.target(run.ns, run.project)
  if target then self.emit({ target }, named(run)) end
end

--- Publishes what a run gave. Metrics of a run that failed are published too, where there are any: bad
--- entries don't take the good ones with them.
---@param run table { kind = "plugin"|"goplugin", ns, name = the item's, project = "group/project"?,
---  type = "regular"|"call", commit = string?, status = 0 ok, 1 failed, 2 timed out, 3 output refused,
---  reason = string?, metrics = list? (names as the program gave them),
---  usage = { seconds, cpu_ms, maxrss, output_bytes }? }
function M:report(run)
  local list = named(run)
  local target, why = M.target(run.ns, run.project)
  if target ~= run.ns then
    if target and #list > 0 then publish(self, target, list) end
    if not target and #list > 0 then
      self.log.warning(run.kind, "metrics dropped", { ns = run.ns, name = run.name, reason = why })
    end
    list = {}
  end
  append_about_run(list, run)
  publish(self, run.ns, list)
  if run.status ~= 0 then report_failure(self, run) end
end

return M
