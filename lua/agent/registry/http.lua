-- Source `http://…` and `https://…`: a LodaStack registry, asked by a worker (agent.worker.registry) that has a
-- deadline and is gone afterwards; neither libcurl nor JSON ever weighs on this process.

local M = {}
M.__index = M

local DEADLINE_MS, GRACE_MS = 10000, 1500
local PATIENCE = 3 -- fetches that wait for a new host name to be reported, before they go on without

local function none_if_empty(text)
  return text ~= "" and text or nil
end

--- conf: conf.agent. options: run = agent.worker.client.run, hostname () → string, log, deadline_ms (10000).
function M.new(conf, options)
  local base = conf.registryaddr:gsub("/+$", "")
  if not base:find("^%a+://") then base = "http://" .. base end
  return setmetatable({
    base = base, conf = conf, run = options.run, hostname = options.hostname, log = options.log,
    deadline_ms = options.deadline_ms or DEADLINE_MS, state = {}, unreported = 0,
  }, M)
end

local function request_for(self, what)
  local conf = self.conf
  return {
    what = what, base = self.base, deadline_ms = self.deadline_ms, hostname = self.hostname(), state = self.state,
    ifaceprefix = conf.ifaceprefix, pluginsdir = conf.pluginsdir, sysfs = conf.sysfs,
    tls = { ca = none_if_empty(conf.registryca), cert = none_if_empty(conf.registrycert),
      key = none_if_empty(conf.registrykey) },
  }
end

-- The worker's own words, without ours around them.
local function reason(self, err)
  if err.detail then return { code = err.detail.code or "failed", message = err.detail.message } end
  if err.code == "timeout" then
    return { code = "timeout", message = ("%s: no answer in %g s"):format(self.base, self.deadline_ms / 1000) }
  end
  return { code = err.code, message = err.message }
end

-- What the registry said last, for the next report.
local function remember(self, ids)
  local names = {}
  for ns in pairs(ids) do names[#names + 1] = ns end
  table.sort(names)
  self.state = names[1] and { namespaces = names, ids = ids } or {}
end

local function one_namespace(found, items)
  if found.error then return { error = found.error } end
  if found.same then return { same = true, digest = found.digest } end
  items = items or {}
  if #items ~= found.count then
    return { error = { code = "failed", message = "the worker lost items on their way" } }
  end
  return { items = items, digest = found.digest }
end

-- Patience that has run out comes back when a report has been answered.
local function renaming(self, insisted, err, result)
  if err and err.code == "renamed" then
    self.unreported = self.unreported + 1
  elseif not err then
    if not insisted then self.unreported = 0 end
    if result.renaming then self.log.warning("registry", result.renaming) end
  end
end

--- Asks for the namespaces of this machine and the items of each. callback(err, answer) once: answer =
--- { ids = { [ns] = id }, namespaces = { [ns] = { items =, digest = } | { same = true, digest = } | { error = } } }.
--- known: { [ns] = digest } of earlier answers; items that are the same then are not sent again (`same`).
---@param callback fun(err: table?, answer: table?)
---@param known table<string, string>?
function M:fetch(callback, known)
  local items = {}
  local request = request_for(self, "fetch")
  request.known, request.insist = known, self.unreported >= PATIENCE
  local function on_item(chunk)
    local list = items[chunk.ns]
    if not list then
      items[chunk.ns] = chunk.items
      return
    end
    for _, item in ipairs(chunk.items) do list[#list + 1] = item end
  end
  self.run("registry", request, { deadline_ms = self.deadline_ms + GRACE_MS, on_item = on_item },
    function(err, result)
      err = err and reason(self, err)
      renaming(self, request.insist, err, result)
      if err then return callback(err) end
      remember(self, result.ids)
      local answer = { ids = result.ids, namespaces = {} }
      for ns, found in pairs(result.namespaces) do answer.namespaces[ns] = one_namespace(found, items[ns]) end
      callback(nil, answer)
    end)
end

--- Takes up where an earlier process stopped: what it was told last is what a report says.
function M:resume(namespaces, ids)
  self.state = namespaces[1] and { namespaces = namespaces, ids = ids } or {}
end

--- Reports this machine, once something has been fetched. callback(err) once.
--- state: { namespaces = array | nil, ids = { [ns] = id } | nil }; default: as last fetched.
function M:report(state, callback)
  local request = request_for(self, "report")
  request.state = state or self.state
  self.run("registry", request, { deadline_ms = self.deadline_ms + GRACE_MS }, function(err)
    if not err then self.unreported = 0 end
    callback(err and reason(self, err))
  end)
end

return M
