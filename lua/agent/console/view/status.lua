-- The screen of `agent status`.

local health_of = require("agent.console.health")
local text = require("agent.console.text")

local M = {}

local LABEL, SHOWN, SLOWEST = 12, 5, 5

local Page = {}
Page.__index = Page

local function new_page(width)
  return setmetatable({ lines = {}, width = width }, Page)
end

-- One line: what it is about, and what there is to say. An empty label continues.
function Page:add(label, ...)
  local line = text.pad(label, LABEL) .. text.clean(table.concat({ ... }))
  self.lines[#self.lines + 1] = text.cut((line:gsub("%s+$", "")), self.width)
end

-- At most SHOWN of a list, each on a line.
function Page:list(label, list, line_of, all)
  for i = 1, math.min(#list, SHOWN) do self:add(i == 1 and label or "", line_of(list[i])) end
  local more = (all or #list) - math.min(#list, SHOWN)
  if more > 0 then self:add("", ("… and %d more"):format(more)) end
end

local function add_health(page, health)
  if health.healthy then return page:add("health", "healthy") end
  if not health.reasons[1] then return page:add("health", "NOT HEALTHY") end
  page:list("health", health.reasons, function(reason) return "NOT HEALTHY: " .. reason end)
end

local function add_namespaces(page, names)
  if not names[1] then return page:add("namespaces", "none") end
  local line = table.concat(names, " ", 1, math.min(#names, SHOWN))
  if #names > SHOWN then line = ("%s … and %d more"):format(line, #names - SHOWN) end
  page:add("namespaces", line)
end

local function add_registry(page, registry)
  local age = text.number(registry.age)
  page:add("registry", ("%s items, "):format(text.count(registry.items)),
    age and ("answer %s old"):format(text.duration(age)) or "no answer yet",
    registry.from_cache and ", from the cache on disk" or "")
  if registry.last_error then page:add("", "last error: ", tostring(registry.last_error)) end
  page:list("", registry.errors or {}, function(one)
    return ("%s: %s"):format(tostring(one.ns), tostring(one.message or one.code))
  end)
  page:list("refused", registry.refused or {}, function(one)
    return ("%s %s: %s"):format(tostring(one.ns), tostring(one.name or one.index or ""), tostring(one.reason))
  end)
end

local function dropped_text(dropped)
  local parts = {}
  for reason, n in pairs(dropped or {}) do parts[#parts + 1] = ("%s %s"):format(text.count(n), tostring(reason)) end
  table.sort(parts)
  return parts[1] and "; dropped: " .. table.concat(parts, ", ") or ""
end

local function add_spool(page, spool)
  if type(spool) ~= "table" then return end
  local parts = { text.bytes(spool.bytes) }
  if spool.files then parts[#parts + 1] = text.count(spool.files) .. " files" end
  if spool.files ~= 0 then parts[#parts + 1] = "oldest " .. text.duration(spool.age) end
  if spool.state and spool.state ~= "ok" then parts[#parts + 1] = tostring(spool.state) end
  local why = spool.last_error and "; " .. health_of.reason_of(spool.last_error) or ""
  page:add("spool", table.concat(parts, ", "), why)
end

local function add_output(page, one)
  local output, outbox = one.output or {}, one.outbox or {}
  local words = {}
  for _, field in ipairs({ "name", "server", "path", "state" }) do
    if output[field] then words[#words + 1] = tostring(output[field]) end
  end
  page:add("output", table.concat(words, " "), (": %s messages published (%s)"):format(text.count(outbox.published),
    text.bytes(outbox.published_bytes)), one.required == false and ", best effort" or "")
  if output.last_error then page:add("", "last error: ", health_of.reason_of(output.last_error)) end
  page:add("queue", ("%s messages, %s"):format(text.count(outbox.messages), text.bytes(outbox.bytes)),
    dropped_text(outbox.dropped))
  add_spool(page, one.spool or outbox.spool)
end

-- The items of the schedule, the most expensive first.
local function slowest(schedules)
  local list = {}
  for id, item in pairs(schedules) do
    if type(item) == "table" and text.number(item.last_ms) then list[#list + 1] = { id = tostring(id), item = item } end
  end
  table.sort(list, function(a, b)
    if a.item.last_ms ~= b.item.last_ms then return a.item.last_ms > b.item.last_ms end
    return a.id < b.id
  end)
  return list
end

local function add_schedules(page, schedules)
  local list, failing = slowest(schedules), {}
  local parts = {}
  for i = 1, math.min(#list, SLOWEST) do
    parts[i] = ("%s %s"):format(list[i].id, text.milliseconds(list[i].item.last_ms))
  end
  if parts[1] then page:add("slowest", table.concat(parts, ", ")) end
  for id, item in pairs(schedules) do
    local is_plugin = tostring(id):find("^PLUGIN ")
    if type(item) == "table" and item.last_error and not is_plugin then
      failing[#failing + 1] = ("%s: %s"):format(tostring(id), tostring(item.last_error))
    end
  end
  table.sort(failing)
  page:list("failing", failing, function(line) return line end)
end

--- Why a plugin (of /plugins/list) isn't well, or nil.
function M.plugin_trouble(plugin)
  if plugin.error then return tostring(plugin.error) end
  local last = plugin.last
  if type(last) == "table" and last.status ~= 0 then return tostring(last.reason or "failed") end
end

local function add_plugins(page, plugins, not_held)
  local failing, disabled, running = {}, 0, 0
  for _, plugin in ipairs(plugins) do
    if M.plugin_trouble(plugin) then failing[#failing + 1] = plugin end
    if plugin.enabled == false then disabled = disabled + 1 end
    if plugin.running then running = running + 1 end
  end
  if not plugins[1] then return page:add("plugins", "none") end
  page:add("plugins", ("%d, %d running, %d failing, %d disabled"):format(#plugins, running, #failing, disabled))
  if type(not_held) == "table" then
    page:add("", ("%s: not held here, %s"):format(tostring(not_held.limits), tostring(not_held.reason)))
  end
  page:list("", failing, function(plugin)
    return ("%s %s: %s"):format(tostring(plugin.ns), tostring(plugin.name), M.plugin_trouble(plugin))
  end)
end

local function add_costs(page, status)
  local memory = type(status.memory) == "table" and status.memory or {}
  if memory.rss then
    page:add("memory", ("%s RSS, %s of it Lua"):format(text.bytes(memory.rss), text.bytes(memory.lua)))
  end
  page:add("stall", "longest ", text.milliseconds(status.stall_ms), ", ", text.count(status.errors), " internal errors")
end

--- model: { status = /me/status, health = see agent.console.health, plugins = /plugins/list | nil }. width: columns or
--- nil. Returns the lines.
function M.lines(model, width)
  local status, page = model.status, new_page(width)
  page:add("agent", ("%s (%s) on %s, pid %s, up %s"):format(tostring(status.version), tostring(status.commit or "?"),
    tostring(status.hostname or "?"), tostring(status.pid or "?"), text.duration(status.uptime)))
  add_health(page, model.health)
  add_namespaces(page, status.namespaces or {})
  add_registry(page, status.registry or {})
  for _, one in ipairs(health_of.outputs(status)) do add_output(page, one) end
  add_schedules(page, status.schedules or {})
  local room = type(status.plugins) == "table" and status.plugins or {}
  if model.plugins then add_plugins(page, model.plugins, room.not_held) end
  add_costs(page, status)
  return page.lines
end

return M
