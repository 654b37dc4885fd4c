-- Where the builtin functions are that come with the agent.

local M = {}

--- The directories that may hold them, from where the executable `exe` really is: PREFIX/share/agent/builtin beside
--- PREFIX/bin/agent, or the source tree around build/agent.
function M.candidates(exe)
  local dir = exe:gsub(" %(deleted%)$", ""):match("^(.*)/[^/]*$")
  local above = dir:match("^(.*)/[^/]*$") or ""
  local list = { above .. "/share/agent/builtin" }
  local tree = dir:match("^(.*)/build$") or dir:match("^(.*)/build/[^/]*$")
  if tree then list[2] = tree .. "/builtin" end
  return list
end

--- The directories of builtin functions, each absolute, the later one wins.
function M.directories(conf)
  local uv = require("luv")
  local list, seen = {}, {}
  local function add(path)
    if path == "" then return end
    if path:sub(1, 1) ~= "/" then path = uv.cwd() .. "/" .. path end
    if not seen[path] then
      seen[path] = true
      list[#list + 1] = path
    end
  end
  if conf.builtin.dir ~= "" then
    add(conf.builtin.dir)
  else
    for _, path in ipairs(M.candidates(uv.fs_readlink("/proc/self/exe") or "/usr/bin/agent")) do add(path) end
  end
  add(conf.agent.builtindir)
  return list
end

return M
