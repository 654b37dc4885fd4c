-- The rockspec names every module that there is, and nothing else.

local function load_rockspec()
  local rockspec = {}
  setfenv(assert(loadfile("rockspec/agent-scm-1.rockspec")), rockspec)()
  return rockspec
end

local function lines_of(command)
  local pipe = io.popen(command)
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- "src/host/bindings.c" says which C modules there are; these are shared objects of their own.
local function c_modules()
  local found = { curl = "luaopen_curl", git = "luaopen_git", tls = "luaopen_tls", zlib = "luaopen_zlib" }
  local f = io.open("src/host/bindings.c")
  for name, opener in f:read("*a"):gmatch('{"(host[%w_.]*)", (luaopen_[%w_]+)}') do found[name] = opener end
  f:close()
  return found
end

describe("the rockspec", function()
  local modules = load_rockspec().build.modules

  it("names every Lua module by its file", function()
    local expected, named = {}, {}
    for _, path in ipairs(lines_of("find lua/agent -name '*.lua' -not -path '*/_meta/*'")) do
      expected[path:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")] = path
    end
    for name, path in pairs(modules) do
      if name:find("^agent") then named[name] = path end
    end
    assert.same(expected, named)
  end)

  it("names every C module by the file that opens it", function()
    local named = {}
    for name, path in pairs(modules) do
      if not name:find("^agent") then
        local f = assert(io.open(path))
        named[name] = f:read("*a"):match("\nint (luaopen_[%w_]+)%(lua_State %*L%) {")
        f:close()
      end
    end
    assert.same(c_modules(), named)
  end)

  it("declares every library that a module requires", function()
    local rock_of = { luv = "luv", cjson = "lua-cjson", lpeg = "lpeg", re = "lpeg" }
    local declared = {}
    for _, name in ipairs({ "string.buffer", "bit", "ffi", "jit" }) do declared[name] = true end -- of LuaJIT
    for _, dependency in ipairs(load_rockspec().dependencies) do declared[dependency:match("^%S+")] = true end
    for _, line in ipairs(lines_of("grep -rhoE 'require\\(\"[a-z.]+\"\\)' lua/agent | sort -u")) do
      local name = line:match('"(.-)"')
      if not name:find("^agent") and not modules[name] then
        assert.is_true(declared[rock_of[name] or name], name .. " is required but not declared")
      end
    end
  end)
end)
