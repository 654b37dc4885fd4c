-- Which of a remote's branches and tags a plugin runs from.

local source = require("agent.plugin.source")

local M = {}

local WANTED = "refs/agent/wanted" -- where the fetched one is kept

local function by_name(refs)
  local found = {}
  for _, ref in ipairs(refs) do found[ref.name] = ref end
  return found
end

-- A tag with a message of its own is not the commit; the remote says beside it which one it stands for.
local function take(found, name)
  local peeled = found[name .. "^{}"]
  return { id = (peeled or found[name]).id, specs = { ("+%s:%s"):format(name, WANTED) }, find = WANTED, shallow = true }
end

local function default(found)
  if found["refs/heads/release"] then return take(found, "refs/heads/release") end
  local head = found.HEAD
  if not head then return nil, "no branch release, and no HEAD", "not_found" end
  local target = head.target
  if target and found[target] and not source.refuse_ref(target) then return take(found, target) end
  return take(found, "HEAD")
end

--- refs: what the remote has, { { name =, id =, target = } … }; wanted: a branch, tag or commit, nil for release or
--- else HEAD. Returns { id = commit, nil when that isn't known before, specs = refspecs, find = what to look up after
--- the fetch, shallow = whether history is of no use }; or nil, message, CODE.
function M.choose(refs, wanted)
  if #refs == 0 then return nil, "the repository is empty", "empty" end
  local found = by_name(refs)
  if not wanted then return default(found) end
  for _, folder in ipairs({ "refs/heads/", "refs/tags/" }) do
    if found[folder .. wanted] then return take(found, folder .. wanted) end
  end
  if not wanted:find("^%x+$") or #wanted < 7 or #wanted > 40 then
    return nil, ("no branch or tag %s"):format(wanted), "not_found"
  end
  local id = wanted:lower()
  return { id = #id == 40 and id or nil, find = id, shallow = false,
    specs = { "+refs/heads/*:refs/agent/heads/*", "+refs/tags/*:refs/agent/tags/*" } }
end

return M
