-- Where a plugin's trees are below PluginsDir. NS/PROJECT is a symbolic link to .trees/NS/PROJECT/NAME; NAME says
-- which commit of which project, asked for by which ref. What is being fetched is in .staging, and belongs to nobody
-- once its worker is gone.

local hash = require("host.hash")

local M = {}

M.TREES, M.STAGING, M.HOMES = ".trees", ".staging", ".home"

local function mark(text)
  return ("%08x"):format(hash.of(text))
end

--- root: the real path of PluginsDir; ns and dir: checked by agent.plugin.source.
function M.of(root, ns, dir)
  local below = ns .. "/" .. dir
  return {
    link = root .. "/" .. below,
    trees = ("%s/%s/%s"):format(root, M.TREES, below),
    target = ("../%s/%s/"):format(M.TREES, below), -- with NAME: what the link holds
    home = ("%s/%s/%s"):format(root, M.HOMES, below),
  }
end

--- The name of a tree; unique: told apart from others of the same commit.
function M.name(commit, project, ref, unique)
  return ("%s-%s-%s-%s"):format(commit, mark(project), mark(ref or ""), unique)
end

--- Reads the link's content: name and commit, and whether that tree is of this project and of this ref. Nil: it is
--- none of ours.
function M.read(place, target, project, ref)
  if target:sub(1, #place.target) ~= place.target then return nil end
  local name = target:sub(#place.target + 1)
  local commit, of_project, of_ref = name:match("^(%x+)%-(%x+)%-(%x+)%-[%w_]+$")
  if not commit or #commit ~= 40 then return nil end
  return { name = name, commit = commit, same_project = of_project == mark(project),
    same_ref = of_ref == mark(ref or "") }
end

return M
