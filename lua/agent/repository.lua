-- How a plugin's repository and its arguments are written: in the registry's items and in control calls
-- (contracts.md §4, §5).

local M = {}

local MOST_ARGUMENTS = 256

--- "user@host:group/project.git" → "group/project", "project". Of a URL the last two parts of its path, of a path
--- likewise.
function M.project_of(git)
  local path = git:match("^%a[%w+.-]*://[^/]*/(.+)$") or git:match("^[^/:]+:(.+)$") or git
  path = path:gsub("/+$", ""):gsub("%.git$", "")
  local group, project = path:match("([^/]+)/([^/]+)$")
  if not group then return path, path end
  return group .. "/" .. project, project
end

--- "group/project" of the `repo` of a control call, which is exactly user@host:group/project.git; or nil.
function M.of_call(repo)
  local path = repo:match("^[^:]*:([^:]*)%.git$")
  return path and path:match("^[^/]*/[^/]*$") and path or nil
end

--- Splits parameters at spaces. nil and the reason when one could mean something to a shell: scripts tend to
--- hand them on to one.
---@return string[]?, string?
function M.arguments(text)
  local args = {}
  if text:find("%c") then return nil, "parameters: control characters are not allowed" end
  for piece in text:gmatch("[^ ]+") do
    local bad = piece:match("[;|<>`]") or piece:match("&&")
    if bad then return nil, ("parameters: %s is not allowed"):format(bad) end
    args[#args + 1] = piece
  end
  if #args > MOST_ARGUMENTS then return nil, ("parameters: more than %d"):format(MOST_ARGUMENTS) end
  return args
end

return M
