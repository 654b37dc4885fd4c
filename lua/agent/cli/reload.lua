-- SIGHUP: reads the configuration again and applies what can be applied while the agent runs.

local same = require("agent.same")

local M = {}

-- What a running agent takes over; any other change is named and waits for a restart.
local reloadable = { ["agent.intervals"] = true, ["agent.mininterval"] = true, ["agent.autoenable"] = true,
  ["http.group"] = true, ["http.hosts"] = true, ["http.logdirs"] = true, ["http.loopback"] = true,
  ["http.maxpost"] = true, ["http.post"] = true, ["http.tlsca"] = true, ["http.tlscert"] = true, ["http.tlskey"] = true,
  ["http.tokenfile"] = true }
local sections = { builtins = true, log = true, plugins = true }

--- The keys, as "section.key", whose values differ in two complete configurations; sorted.
function M.changed(old, new)
  local keys = {}
  for section, values in pairs(new) do
    for key, value in pairs(values) do
      if not same(value, (old[section] or {})[key]) then keys[#keys + 1] = section .. "." .. key end
    end
    for key in pairs(old[section] or {}) do
      if values[key] == nil then keys[#keys + 1] = section .. "." .. key end
    end
  end
  table.sort(keys)
  return keys
end

--- Takes over from `new` what is reloadable: changes `conf` in place. Returns the keys applied and those
--- that need a restart.
function M.apply(conf, new)
  local applied, waiting = {}, {}
  for _, path in ipairs(M.changed(conf, new)) do
    local section, key = path:match("^(.-)%.(.*)$")
    if sections[section] or reloadable[path] then
      conf[section][key] = new[section][key]
      applied[#applied + 1] = path
    else
      waiting[#waiting + 1] = path
    end
  end
  return applied, waiting
end

return M
