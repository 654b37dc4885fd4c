-- The screen of `agent top`.

local health_of = require("agent.console.health")
local plugin_trouble = require("agent.console.view.status").plugin_trouble
local text = require("agent.console.text")

local M = {}

local columns = {
  { title = "ITEM", flexible = true }, { title = "EVERY", right = true }, { title = "RUNS", right = true },
  { title = "LAST", right = true }, { title = "LONGEST", right = true }, { title = "MISSED", right = true },
  { title = "ERRORS", right = true }, { title = "LAST ERROR", flexible = true },
}

local function head_line(model)
  local status = model.status
  local how = model.trouble and "NOT REACHABLE: " .. model.trouble
    or model.health.healthy and "healthy" or "NOT HEALTHY: " .. tostring(model.health.reasons[1] or "")
  return ("agent %s on %s, pid %s, up %s — %s"):format(tostring(status.version), tostring(status.hostname or "?"),
    tostring(status.pid or "?"), text.duration(status.uptime), how)
end

local function cost_line(model)
  local status, cpu = model.status, text.number(model.rates.cpu)
  local memory = type(status.memory) == "table" and status.memory or {}
  return ("cpu %s, memory %s (Lua %s), longest stall %s, %s internal errors"):format(
    cpu and ("%.2f %%"):format(cpu) or "-", text.bytes(memory.rss), text.bytes(memory.lua),
    text.milliseconds(status.stall_ms), text.count(status.errors))
end

local function queue_line(model)
  local messages, bytes, dropped = 0, 0, 0
  for _, one in ipairs(health_of.outputs(model.status)) do
    local outbox = one.outbox or {}
    messages, bytes = messages + (text.number(outbox.messages) or 0), bytes + (text.number(outbox.bytes) or 0)
    for _, n in pairs(type(outbox.dropped) == "table" and outbox.dropped or {}) do
      dropped = dropped + (text.number(n) or 0)
    end
  end
  local rates = model.rates
  local span = rates.whole and "since the start" or "last " .. text.duration(math.floor(rates.seconds + 0.5))
  return ("published %.1f messages/s, %s/s (%s); queue %s messages, %s; %s dropped"):format(rates.messages,
    text.bytes(rates.bytes), span, text.count(messages), text.bytes(bytes), text.count(dropped))
end

local function plugins_line(plugins)
  local running, failing = {}, {}
  for _, plugin in ipairs(plugins) do
    local name = tostring(plugin.name)
    if plugin.running then running[#running + 1] = name end
    local trouble = plugin_trouble(plugin)
    if trouble then failing[#failing + 1] = ("%s (%s)"):format(name, trouble) end
  end
  local line = ("plugins %d, %d running, %d failing"):format(#plugins, #running, #failing)
  if running[1] then line = line .. "; running: " .. table.concat(running, ", ") end
  if failing[1] then line = line .. "; failing: " .. table.concat(failing, ", ") end
  return line
end

local function item_rows(model)
  local rows = {}
  for id, item in pairs(type(model.status.schedules) == "table" and model.status.schedules or {}) do
    if type(item) == "table" then
      rows[#rows + 1] = { cost = text.number(item.last_ms) or -1, tostring(id), text.duration(item.interval),
        text.count(item.runs), text.milliseconds(item.last_ms), text.milliseconds(model.longest[id]),
        text.count(item.missed), text.count(item.errors), item.last_error and tostring(item.last_error) or "" }
    end
  end
  table.sort(rows, function(a, b)
    if a.cost ~= b.cost then return a.cost > b.cost end
    return a[1] < b[1]
  end)
  return rows
end

--- model: { status, health, plugins (as of view/status.lua), rates, longest (of history.lua), trouble = why there is no
--- newer answer | nil }. At most `height` lines of at most `width` columns; nil: as many and as wide as they are.
function M.lines(model, width, height)
  local lines = { head_line(model), cost_line(model), queue_line(model) }
  if model.plugins then lines[#lines + 1] = plugins_line(model.plugins) end
  for i, line in ipairs(lines) do lines[i] = text.cut(text.clean(line), width) end
  lines[#lines + 1] = ""
  for _, line in ipairs(text.columns(columns, item_rows(model), width)) do lines[#lines + 1] = line end
  if height and #lines > height then
    local more = #lines - height + 1
    for i = #lines, height + 1, -1 do lines[i] = nil end
    if height > 0 then lines[height] = text.cut(("… and %d more"):format(more), width) end
  end
  return lines
end

return M
