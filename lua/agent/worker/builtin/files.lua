-- The files that builtin functions are in: NAME.lua in one of several directories, of which the later wins.

local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local LARGEST, MOST, LOAD_SECONDS = 2 ^ 20, 2000, 1

local function print_of(stat)
  return ("%d.%09d %d %d %d"):format(stat.mtime.sec, stat.mtime.nsec, stat.size, stat.ino, stat.dev)
end

local function names_in(directory)
  local entries = uv.fs_scandir(directory)
  local names = {}
  for file in function() return entries and uv.fs_scandir_next(entries) end do
    local name = file:match("^(%a[%w_-]*)%.lua$")
    if name and not name:find("_spec$") and #names < MOST then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- { [name] = { path, print, over = path of the file that it hides | nil } }: `print` changes with the file.
function M.scan(directories)
  local found = {}
  for _, directory in ipairs(directories) do
    for _, name in ipairs(names_in(directory)) do
      local path = directory .. "/" .. name .. ".lua"
      local stat = uv.fs_stat(path)
      if stat and stat.type == "file" then
        local before = found[name]
        found[name] = { path = path, print = print_of(stat), over = before and before.path }
      end
    end
  end
  return found
end

--- One text that changes with any of the files.
function M.print(directories)
  local parts = {}
  for name, one in pairs(M.scan(directories)) do parts[#parts + 1] = name .. one.path .. one.print end
  table.sort(parts)
  return table.concat(parts, "\n")
end

function M.read(path)
  local stat, why = uv.fs_stat(path)
  if not stat then return nil, why end
  if stat.type ~= "file" then return nil, "not a file" end
  if stat.size > LARGEST then return nil, "larger than 1 MiB" end
  local file
  file, why = io.open(path, "rb")
  if not file then return nil, why end
  local source = file:read(LARGEST)
  file:close()
  return source or ""
end

local function located(name, message)
  local line, text = message:match("^" .. name:gsub("%p", "%%%0") .. "%.lua:(%d+): (.*)$")
  return { line = tonumber(line), message = text or message }
end

-- What the file returned, as { run, description, params, interval }; nil and what is wrong with it.
local function definition(value)
  if type(value) == "function" then return { run = value } end
  if type(value) ~= "table" then return nil, ("returns a %s, not a function or a table"):format(type(value)) end
  local made = { run = rawget(value, "run"), description = rawget(value, "description"),
    params = rawget(value, "params"), interval = rawget(value, "interval") }
  if type(made.run) ~= "function" then return nil, "returns a table without a function `run`" end
  if made.description ~= nil and type(made.description) ~= "string" then return nil, "description is text" end
  local interval = made.interval
  if interval ~= nil and not (type(interval) == "number" and interval >= 1 and interval <= 86400) then
    return nil, "interval is 1 to 86400 seconds"
  end
  if made.params == nil then return made end
  local ok, params = pcall(require("agent.worker.builtin.plain").copy, made.params, 65536)
  if not ok then return nil, "params: " .. params end
  made.params = params
  local why = require("agent.worker.builtin.params").unfit(params)
  if why then return nil, why end
  return made
end

--- Compiles and runs a file's source with the globals `env`: its definition; nil, { line =, message = }. `id` is what
--- the guard calls it. Does not wait.
function M.load(name, source, env, id)
  if source:byte(1) == 27 then return nil, { message = "compiled Lua is refused; the source is wanted" } end
  local chunk, why = load(source, ("=%s.lua"):format(name), "t", env)
  if not chunk then return nil, located(name, why) end
  local value, outcome
  run.start({ id = id, seconds = LOAD_SECONDS, rates = {}, done = function(it) outcome = it end }, function()
    value = chunk()
    return { status = 0 }
  end)
  if not outcome then return nil, { message = "waits for something while it is loaded" } end
  if outcome.status ~= 0 then return nil, located(name, outcome.reason) end
  local made, wrong = definition(value)
  if not made then return nil, { message = wrong } end
  return made
end

return M
