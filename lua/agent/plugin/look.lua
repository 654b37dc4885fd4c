-- What is checked out already, and what a crash left behind. Blocks: for the git worker; nothing here needs a network.

local files = require("agent.plugin.files")
local places = require("agent.plugin.places")
local tree_rules = require("agent.plugin.tree")
local uv = require("luv")

local M = {}

-- The tree as agent.plugin.checkout gives it away.
local function describe(place, path, commit, item)
  local entry, why, code = tree_rules.entry(uv, path)
  if not entry then return nil, { code = code, message = why } end
  files.make_home(place.home, item.owner)
  return { path = path, commit = commit, entry = entry, home = place.home }
end
M.describe = describe

-- A checkout that the Go agent left, or somebody by hand: used as it is.
local function foreign(place, item)
  local git = require("git")
  local head = git.setup({}) and git.head(place.link)
  return describe(place, place.link, head or "unknown", item)
end

--- What is in force for item { ns =, dir =, project =, ref =, owner = }: the tree, or nothing; with it an err when it
--- isn't what the item asks for, and whether it belongs to somebody else.
function M.at(root, item)
  local place = places.of(root, item.ns, item.dir)
  local stat, why, code = uv.fs_lstat(place.link)
  if not stat then
    if code == "ENOENT" then return nil end
    error({ code = "failed", message = why }, 0)
  end
  if stat.type == "directory" then
    local tree, err = foreign(place, item)
    return tree, err, true
  end
  if stat.type ~= "link" then return nil, { code = "bad_tree", message = place.link .. " is no directory" } end
  local ours = places.read(place, files.check(uv.fs_readlink(place.link)), item.project, item.ref)
  if not ours or not ours.same_project then return nil end
  local tree = describe(place, place.trees .. "/" .. ours.name, ours.commit, item)
  if not tree or ours.same_ref then return tree end
  return tree, { code = "other_ref", message = "what is checked out is of another ref" }
end

local function each_project(folder, each)
  for ns, kind in pairs(files.list(folder)) do
    if kind == "directory" then
      for dir in pairs(files.list(folder .. "/" .. ns)) do each(ns, dir) end
    end
  end
end

--- Removes what no worker is at any more, and trees that nothing points to. Only before the first run and the first
--- fetch of an agent's life.
function M.clean(root)
  files.remove(root .. "/" .. places.STAGING)
  each_project(root .. "/" .. places.TREES, function(ns, dir)
    local place = places.of(root, ns, dir)
    local target = uv.fs_readlink(place.link) or ""
    for name in pairs(files.list(place.trees)) do
      if target ~= place.target .. name then files.remove(place.trees .. "/" .. name) end
    end
  end)
end

--- Removes one tree, unless it is the one in force.
function M.remove(root, item)
  local place = places.of(root, item.ns, item.dir)
  if uv.fs_readlink(place.link) ~= place.target .. item.name then files.remove(place.trees .. "/" .. item.name) end
end

return M
