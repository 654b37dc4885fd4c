-- /plugins/…: what runs from git, and a person's hand on it (contracts.md §4). Texts are the contract's, with its 200
-- for whatever happened; JSON, for whoever accepts it, has the status that fits.

local answer = require("agent.http.answer")
local json = require("agent.json")
local repository = require("agent.repository")

local M = {}

local DEFAULT_SECONDS = 10
local LONGEST_WAITED, LONGEST_SECONDS = 600, 3600 -- with a client that waits, and without
local SHOWN = 65536 -- bytes of its output that a called plugin's answer shows

-- text: the contract's line; status and fields: of the JSON answer.
local function say(request, reply, text, status, fields)
  if not answer.wants_json(request) then return answer.text(request, reply, 200, text) end
  local body = { msg = (text:gsub("\n$", "")) }
  for name, value in pairs(fields or {}) do body[name] = value end
  return answer.json(reply, status, json.encode(body))
end

-- The plugin that ns and repo name, or nil when that is answered already.
local function find(request, reply, deps)
  local ns, repo = request.query.ns or "", request.query.repo or ""
  if ns == "" or repo == "" then
    say(request, reply, "invalid ns or repo\n", 400)
    return nil
  end
  local project = repository.of_call(repo)
  local plugin = deps.plugins.find(ns, project, repo)
  if plugin then return plugin, ns, repo end
  if not project then
    say(request, reply, "invalid repo\n", 400)
  else
    say(request, reply, "plugin doesn't exist, add to loda first please\n", 404)
  end
end

local function list(request, reply, deps)
  local plugins = deps.plugins.list()
  if answer.wants_json(request) then return answer.json(reply, 200, json.encode(json.list(plugins))) end
  local lines = {}
  for _, plugin in ipairs(plugins) do
    if plugin.interval ~= 0 then
      lines[#lines + 1] = ("%s|%s enabled:%s\n"):format(plugin.ns, plugin.name, tostring(plugin.enabled))
    end
  end
  return answer.text(request, reply, 200, table.concat(lines))
end

local function update(request, reply, deps)
  local plugin = find(request, reply, deps)
  if not plugin then return end
  return deps.plugins.update(plugin, function(err, changed)
    if err then
      return say(request, reply, ("update failed: %s\n"):format(err.message), 502, { code = err.code })
    end
    say(request, reply, "update successfully\n", 200, { changed = changed or false, commit = plugin.tree.commit })
  end)
end

-- Whole seconds; nil for what is no unsigned number, or too many.
local function seconds_of(text, longest)
  if not text or text == "" then return DEFAULT_SECONDS end
  local seconds = text:match("^%d+$") and tonumber(text)
  return seconds and seconds <= longest and seconds or nil
end

local function shown(ended)
  local result = ended and ended.result
  if not result then return {} end
  return { exit_code = result.code, signal = result.signal, seconds = result.duration_ms / 1000, commit = ended.commit,
    stdout = result.stdout:sub(1, SHOWN), stderr = result.stderr:sub(1, SHOWN) }
end

local function tell_run(request, reply, named, err, ended)
  if not err then return say(request, reply, "run plugin successfully", 200, shown(ended)) end
  if err.code == "busy" then return say(request, reply, "plugin is running", 409, { code = "busy" }) end
  local fields = shown(ended)
  fields.code = err.code
  say(request, reply, ("run plugin %s accurs an error:%s\n"):format(named, err.message), 500, fields)
end

local function run(request, reply, deps)
  local plugin, ns = find(request, reply, deps)
  if not plugin then return end
  local waits = request.query.wait ~= "0"
  local seconds = seconds_of(request.query.timeout, waits and LONGEST_WAITED or LONGEST_SECONDS)
  if not seconds then return say(request, reply, "invalid timeout\n", 400) end
  local named = ns .. " " .. plugin.record.name
  local args, why = repository.arguments(request.query.param or "")
  if not args then return tell_run(request, reply, named, { code = "refused", message = why }) end
  local answered
  local function tell(err, ended)
    if answered then return end
    answered = true
    tell_run(request, reply, named, err, ended)
  end
  deps.plugins.call(plugin, seconds, args, tell)
  if not waits and not answered then
    answered = true
    say(request, reply, "plugin started\n", 202, { started = true })
  end
end

local function disable(request, reply, deps)
  local plugin = find(request, reply, deps)
  if not plugin then return end
  return deps.plugins.disable(plugin, function(err)
    if err then return say(request, reply, ("failed to disable plugin: %s\n"):format(err.message), 500) end
    say(request, reply, "plugin disabled successfully\n", 200)
  end)
end

local function enable(request, reply, deps)
  local plugin = find(request, reply, deps)
  if not plugin then return end
  return deps.plugins.enable(plugin, function(err)
    if err then return say(request, reply, ("failed to Enable plugin: %s\n"):format(err.message), 500) end
    say(request, reply, "plugin enabled successfully\n", 200)
  end)
end

--- Registers the routes. deps.plugins: list(), find(ns, project, repo) → plugin or nil, update(plugin, callback),
--- call(plugin, seconds, args, callback), disable(plugin, callback), enable(plugin, callback), as of the plugin room.
function M.register(router, methods, deps)
  local routes = { list = list, update = update, run = run, disable = disable, enable = enable }
  for name, handler in pairs(routes) do
    local reads = name == "list"
    router:route(methods, "/plugins/" .. name, function(request, reply) return handler(request, reply, deps) end,
      reads and "read" or "change", reads)
  end
end

return M
