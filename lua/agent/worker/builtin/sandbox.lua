-- What builtin functions see as the world: an allow-list. Each file has globals of its own; the libraries are
-- shared and can't be changed; strings find their methods in the same list.

local M = {}

local LONGEST = 2 ^ 22 -- bytes that string.rep makes

local function pick(library, names)
  local chosen = {}
  for name in names:gmatch("%S+") do chosen[name] = assert(library[name], name) end
  return chosen
end

-- A library that can be read and not changed: nobody gets hold of the table behind it.
local function closed(library, name)
  return setmetatable({}, {
    __index = library,
    __newindex = function() error(name .. " is shared by all functions and can't be changed", 2) end,
    __metatable = false,
  })
end

local function strings()
  local safe = pick(string, "byte char find format gmatch gsub len lower match reverse sub upper")
  local rep = string.rep
  function safe.rep(text, count, between)
    if (#text + #(between or "")) * count > LONGEST then error("string.rep: longer than 4 MiB", 2) end
    return rep(text, count, between)
  end
  return safe
end

-- The value, or nil and why not.
local function harmless(fn)
  return function(...)
    local ok, value = pcall(fn, ...)
    if ok then return value end
    return nil, tostring(value)
  end
end

local function json()
  local cjson = require("cjson").new()
  return { encode = harmless(cjson.encode), decode = harmless(cjson.decode), null = cjson.null }
end

-- A library of which most functions have no use is loaded when one has.
local function lazily(make)
  local library
  return setmetatable({}, { __index = function(_, name)
    library = library or make()
    return library[name]
  end })
end

--- The protected calls of a function that may have been stopped: caught() raises again then.
local function protected(caught)
  local function checked(ok, ...)
    if not ok then caught() end
    return ok, ...
  end
  -- A handler is called when the error is over: within it no hook would run, and no debug is there to look back.
  local function handled(handler, ok, ...)
    if ok then return ok, ... end
    return false, handler(...)
  end
  return {
    pcall = function(fn, ...) return checked(pcall(fn, ...)) end,
    xpcall = function(fn, handler, ...) return handled(handler, checked(pcall(fn, ...))) end,
  }
end

--- Once per process: closes what all Lua code shares. caught() is called after each error that was caught.
--- Returns environment(): new globals for one file.
function M.new(caught)
  local safe = strings()
  getmetatable("").__index = safe
  getmetatable("").__metatable = false
  local base = pick(_G, "assert error ipairs next pairs rawequal rawget select setmetatable getmetatable tonumber " ..
    "tostring type unpack")
  for name, fn in pairs(protected(caught)) do base[name] = fn end
  base.string = closed(safe, "string")
  base.table = closed(pick(table, "concat insert maxn remove sort"), "table")
  base.math = closed(pick(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log " ..
    "log10 max min modf pi pow rad random sin sinh sqrt tan tanh"), "math")
  base.bit = closed(pick(require("bit"), "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex"), "bit")
  base.os = closed(pick(os, "clock date difftime time"), "os")
  base.json = closed(lazily(json), "json")
  local outer = { __metatable = false, __index = function(_, name)
    local value = base[name]
    if value == nil then error(("there is no global %q"):format(tostring(name)), 2) end
    return value
  end }
  return function()
    local env = setmetatable({}, outer)
    rawset(env, "_G", env)
    return env
  end
end

return M
