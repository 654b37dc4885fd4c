-- The table of `agent plugins`.

local text = require("agent.console.text")

local M = {}

local columns = {
  { title = "NS", flexible = true }, { title = "NAME", flexible = true }, { title = "EVERY", right = true },
  { title = "ENABLED" }, { title = "COMMIT" }, { title = "LAST RUN", right = true }, { title = "TOOK", right = true },
  { title = "STATUS" }, { title = "REASON", flexible = true },
}

local words = { [0] = "ok", [1] = "failed", [2] = "timed out", [3] = "refused" }

--- What a plugin does or did last, in a word.
function M.state(plugin)
  if plugin.running then return "running" end
  local last = type(plugin.last) == "table" and plugin.last
  if plugin.error then return "no checkout" end
  if not last then return plugin.commit and "never run" or "checking out" end
  return words[last.status] or "status " .. tostring(last.status)
end

--- plugins: of /plugins/list; now: unix seconds; width: columns or nil. Returns lines.
function M.lines(plugins, now, width)
  local rows = {}
  for i, plugin in ipairs(plugins) do
    local last = type(plugin.last) == "table" and plugin.last or {}
    local at, took = text.number(last.at), text.number(last.seconds)
    rows[i] = { plugin.ns, plugin.name, plugin.interval == 0 and "on call" or text.duration(plugin.interval),
      plugin.enabled == false and "no" or "yes", tostring(plugin.commit or "-"):sub(1, 8),
      at and text.duration(now - at) .. " ago" or "-", took and text.milliseconds(took * 1000) or "-", M.state(plugin),
      plugin.error or (last.status ~= 0 and last.reason) or "" }
  end
  if not rows[1] then return { "no plugins" } end
  return text.columns(columns, rows, width)
end

-- All names by which a person may call a plugin.
local function is_called(plugin, name)
  local item = tostring(plugin.item or "")
  return name == plugin.name or name == plugin.project or name == item or "PLUGIN." .. name == item
end

--- The plugin that a namespace and a name (the project's, the item's, "group/project" or a repository's address)
--- mean; or nil and a sentence.
function M.find(plugins, ns, name)
  local project = require("agent.repository").of_call(name)
  local found, known = {}, {}
  for _, plugin in ipairs(plugins) do
    if plugin.ns == ns then
      known[#known + 1] = tostring(plugin.name)
      if is_called(plugin, name) or (project and plugin.project == project) then found[#found + 1] = plugin end
    end
  end
  if found[2] then
    local projects = {}
    for i, plugin in ipairs(found) do projects[i] = tostring(plugin.project) end
    return nil, ("%s in %s may be any of %s"):format(name, ns, table.concat(projects, ", "))
  end
  if found[1] then return found[1] end
  if known[1] then return nil, ("no plugin %s in %s; there are %s"):format(name, ns, table.concat(known, ", ")) end
  return nil, ("no plugins in %s; `agent plugins` lists all"):format(ns)
end

return M
