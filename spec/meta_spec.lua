-- The LuaCATS declarations in lua/agent/_meta against what the C bindings really register.

local function read(path)
  local f = assert(io.open(path))
  local text = f:read("*a")
  f:close()
  return text
end

local function declarations()
  local found = {}
  local pipe = io.popen("ls lua/agent/_meta/*.lua")
  for path in pipe:lines() do
    local text = read(path)
    found[assert(text:match("^%-%-%-@meta (%l[%w_.]*)"), path .. " doesn't begin with ---@meta NAME")] = text
  end
  pipe:close()
  found.ctx = nil -- of Lua: spec/agent/worker/builtin/ctx_spec.lua
  return found
end

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function functions_of(t)
  local set = {}
  for name, value in pairs(t) do
    if type(value) == "function" and not name:find("^__") then set[name] = true end
  end
  return sorted(set)
end

local function declared_functions(text)
  local set = {}
  for name in text:gmatch("\nfunction %l[%w_]*%.([%w_]+)%(") do set[name] = true end
  return sorted(set)
end

-- `---@class host.procfs.reader` above `local Reader = {}` names the metatable in the registry.
local function declared_methods(text)
  local classes = {}
  for class, variable in text:gmatch("%-%-%-@class (%l[%w_]*%.[%w_.]+)[^\n]*\nlocal (%u%w*) = {}") do
    local set = {}
    for name in text:gmatch("\nfunction " .. variable .. ":([%w_]+)%(") do set[name] = true end
    classes[class] = sorted(set)
  end
  return classes
end

-- Those of the executable, and those that are loaded from beside it.
require("agent.worker.modules").enable()
local modules = { "curl", "git", "tls", "zlib" }
for name in read("src/host/bindings.c"):gmatch('{"(host[%w_.]*)"') do modules[#modules + 1] = name end

describe("the declarations of the bindings", function()
  local declared = declarations()

  it("exist for every binding and for nothing else", function()
    local documented = sorted(declared)
    table.sort(modules)
    assert.same(modules, documented)
  end)

  for _, module in ipairs(modules) do
    it("name every function of " .. module, function()
      assert.same(functions_of(require(module)), declared_functions(declared[module] or ""))
    end)
  end

  it("name every method of every kind of object", function()
    local real, documented = {}, {}
    for _, module in ipairs(modules) do
      require(module)
      for class, methods in pairs(declared_methods(declared[module] or "")) do documented[class] = methods end
    end
    for name, metatable in pairs(debug.getregistry()) do
      local ours = type(name) == "string" and (name:find("^host%.") or name:find("^curl%.") or name:find("^git%."))
      if ours and type(metatable) == "table" and type(metatable.__index) == "table" then
        real[name] = functions_of(metatable.__index)
      end
    end
    assert.same(real, documented)
  end)
end)
