-- What a plugin's tree may hold. Checked before anything is written.

local M = {}

local LONGEST_TARGET = 4096
local FILE, LINK, DIRECTORY, MODULE = 0x8000, 0xa000, 0x4000, 0xe000

-- git's modes: the upper bits say what it is.
local kinds = { [FILE] = "file", [LINK] = "link", [DIRECTORY] = "directory", [MODULE] = "module" }

--- "file", "link", "directory", "module" (another repository's commit, left empty as git does), or nil.
function M.kind(mode)
  return kinds[bit.band(mode, 0xf000)]
end

function M.executable(mode)
  return bit.band(mode, 0x40) ~= 0
end

--- Why a link at `path` must not point to `target`, or nil. `..` only at the beginning and no further up than the
--- root: what follows goes down, through links that keep to the same rule, and so never leaves the tree.
function M.refuse_target(path, target)
  if target == "" or target:find("%z") then return "points nowhere" end
  if target:sub(1, 1) == "/" then return "leads out of the tree" end
  local _, depth = path:gsub("/", "")
  local down = false
  for name in target:gmatch("[^/]+") do
    if name == ".." then
      depth = depth - 1
      if down or depth < 0 then return "leads out of the tree" end
    elseif name ~= "." then
      down = true
      if name:lower() == ".git" then return "leads into .git" end
    end
  end
end

local function refuse_name(path, directories)
  local parent, name = path:match("^(.*)/([^/]*)$")
  name = name or path
  if name == "" or name == "." or name == ".." or name:lower() == ".git" or parent and not directories[parent] then
    return "a name that may not be"
  end
end

local function refuse_entry(entry, read)
  local kind = M.kind(entry.mode)
  if not kind then return "neither file, directory nor link" end
  if kind ~= "link" then return nil end
  if entry.size > LONGEST_TARGET then return "points too far" end
  return M.refuse_target(entry.path, read(entry))
end

--- entries: of git's repository:entries(); read(entry) gives a link's target. true; or nil, message, "bad_tree".
function M.check(entries, read)
  local seen, directories = {}, {}
  for _, entry in ipairs(entries) do
    local path = entry.path
    local why = seen[path] and "is there twice" or refuse_name(path, directories)
      or refuse_entry(entry, read)
    if why then return nil, ("%q: %s"):format(path:sub(1, 200), why), "bad_tree" end
    seen[path] = true
    directories[path] = M.kind(entry.mode) == "directory"
  end
  return true
end

--- The program of a tree that is on the disk at `path`: "plugin.sh", else an executable "plugin". Blocks. Or nil,
--- message, "bad_tree".
function M.entry(uv, path)
  local script = uv.fs_stat(path .. "/plugin.sh")
  if script and script.type == "file" then return "plugin.sh" end
  local program = uv.fs_stat(path .. "/plugin")
  if not program or program.type ~= "file" then return nil, "it has neither plugin.sh nor plugin", "bad_tree" end
  if bit.band(program.mode, 0x49) == 0 then return nil, "its file plugin is not executable", "bad_tree" end
  return "plugin"
end

return M
