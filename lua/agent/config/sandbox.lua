-- Runs the source of a foreign Lua file with nothing in reach but values, for so many instructions.
-- What no hook can stop (a string function that backtracks, one giant allocation) is stopped by the
-- worker's deadline and limits.

local M = {}

local longest_string = 2 ^ 20

local function copy_of(library, names)
  local copy = {}
  for name in names:gmatch("%S+") do copy[name] = library[name] end
  return copy
end

local function safe_string()
  local safe = copy_of(string, "byte char find format gmatch gsub len lower match reverse sub upper")
  function safe.rep(text, count)
    if #text * count > longest_string then error("string.rep: longer than 1 MiB", 2) end
    return string.rep(text, count)
  end
  return safe
end

-- Reading a name that doesn't exist is a mistake worth a sentence, not a silent nil.
local function environment(variables)
  local env = copy_of(_G, "tonumber tostring pairs ipairs type select error assert pcall")
  env.string = safe_string()
  env.table = copy_of(table, "concat insert remove sort")
  env.math = copy_of(math, "abs ceil floor fmod huge max min modf pi pow sqrt")
  function env.env(name, default)
    local value = variables[name]
    if value == nil then return default end
    return value
  end
  return setmetatable(env, { __index = function(_, name)
    error(("there is no %q in a configuration file"):format(tostring(name)), 2)
  end, __metatable = false })
end

-- Once over the limit every further instruction of the file raises, so no pcall() in it outlives it.
local function limit(instructions, kilobytes)
  local step, until_clock = 1000, os.clock() + 1
  local left, ceiling, reason = instructions, collectgarbage("count") + kilobytes, nil
  local function tick()
    left = left - step
    local why = reason or left <= 0 and "takes too many instructions"
      or os.clock() > until_clock and "takes longer than 1 s of CPU"
      or collectgarbage("count") > ceiling and "takes too much memory"
    if why then
      step = 1
      reason = why
      debug.sethook(tick, "", step)
      if debug.getinfo(2, "S").source == "=conf" then error("conf:0: the file " .. reason, 0) end
    end
  end
  debug.sethook(tick, "", step)
end

-- Strings find their methods through one shared metatable: it must show the safe ones meanwhile.
local function guarded(chunk, env, instructions, kilobytes)
  local strings = getmetatable("")
  local methods = strings.__index
  strings.__index = env.string
  limit(instructions, kilobytes)
  local ok, value = pcall(chunk)
  debug.sethook()
  strings.__index = methods
  return ok, value
end

local function explain(why)
  if type(why) ~= "string" then return { message = ("raised a %s"):format(type(why)) } end
  local line, message = why:match("^conf:(%d+): (.*)$")
  line = tonumber(line)
  return { line = line ~= 0 and line or nil, message = message or why }
end

--- Evaluates `source`. options: { variables = map for env(), instructions = | 10 million,
--- kilobytes = | 64 MiB }. Returns the value; or nil, { line = | nil, message = }.
function M.evaluate(source, options)
  if source:byte(1) == 27 then return nil, { message = "compiled Lua is refused; the source is wanted" } end
  local env = environment(options.variables or {})
  local chunk, why = load(source, "=conf", "t", env)
  if not chunk then return nil, explain(why) end
  jit.off(chunk, true)
  local ok, value = guarded(chunk, env, options.instructions or 1e7, options.kilobytes or 65536)
  if not ok then return nil, explain(value) end
  if type(value) ~= "table" then
    local got = value == nil and "nothing" or "a " .. type(value)
    return nil, { message = "must return a table, returns " .. got }
  end
  return value
end

return M
