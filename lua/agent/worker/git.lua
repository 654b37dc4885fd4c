-- Worker git: everything that touches PluginsDir, whose disk may hang, and the git servers, who may too.

local uv = require("luv")

local function root_of(request)
  require("agent.plugin.files").make(request.pluginsdir, 493)
  local root, why = uv.fs_realpath(request.pluginsdir)
  if not root then error({ code = "failed", message = why }) end
  return root
end

-- One plugin that can't be looked at leaves the others to be.
local function look(root, items, emit)
  local at = require("agent.plugin.look").at
  for i, item in ipairs(items) do
    local ok, tree, err = pcall(at, root, item)
    if not ok then tree, err = nil, type(tree) == "table" and tree or { code = "failed", message = tostring(tree) } end
    emit({ i, tree = tree, err = err })
  end
end

--- request: { pluginsdir =, what =, … }
---   "clean": removes what an agent before this one left unfinished.
---   "look", items = { { ns =, dir =, project =, ref =, owner = }, … }: emits { i, tree =, err = } for each: nothing
---     when it is not checked out.
---   "fetch", job = an item with url, format (agent.git), key, knownhosts, ca, token, maxsize, maxfiles, unique (a
---     name that no other job has): returns { tree =, changed = }, raises { code =, message = }.
---   "remove", items = { { ns =, dir =, name = of a tree } | { staging = unique }, … }.
return function(request, emit)
  local root = root_of(request)
  if request.what == "fetch" then return require("agent.plugin.fetch").run(root, request.job) end
  if request.what == "look" then return look(root, request.items, emit) end
  local disk = require("agent.plugin.look")
  if request.what == "clean" then return disk.clean(root) end
  for _, item in ipairs(request.items) do
    if item.staging then
      require("agent.plugin.files").remove(("%s/.staging/%s"):format(root, item.staging))
    else
      disk.remove(root, item)
    end
  end
end
