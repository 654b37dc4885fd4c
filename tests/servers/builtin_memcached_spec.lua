-- builtin/memcached.lua against Debian's memcached.

local loop = require("loop")
local program = require("program")
local server = require("shipped_server")
local uv = require("luv")

local MEMCACHED = "/usr/bin/memcached"

describe("builtin memcached with a real memcached", function()
  local folder, running = nil, {}

  setup(function()
    if uv.fs_stat(MEMCACHED) then folder = server.folder() end
  end)

  after_each(function()
    for i = #running, 1, -1 do
      server.stop(running[i])
      running[i] = nil
    end
  end)

  teardown(function()
    if folder then program.remove(folder) end
  end)

  local function test(name, fn)
    it(name, function()
      if not folder then return pending("memcached is not installed") end
      fn()
    end)
  end

  -- As root it insists on being somebody else.
  local function start(...)
    local args = { ... }
    if uv.getuid() == 0 then args[#args + 1] = "-u" args[#args + 1] = "nobody" end
    local port = loop.free_port()
    for _, word in ipairs({ "-l", "127.0.0.1", "-p", tostring(port), "-U", "0" }) do args[#args + 1] = word end
    running[#running + 1] = server.start(MEMCACHED, args, function() return server.listens(port) end)
    return port
  end

  local function say(port, text)
    local child = program.spawn("/bin/sh", { "-c",
      ("printf '%s' | nc -q 1 127.0.0.1 %d"):format(text:gsub("\n", "\\r\\n"), port) })
    child.wait(20)
    return child.stdout
  end

  -- Asks again and again until it is told to finish.
  local function keep_asking(port, text)
    local client, timer = uv.new_tcp(), uv.new_timer()
    client:connect("127.0.0.1", port, function(err)
      assert(not err, err)
      client:read_start(function() end)
      timer:start(0, 50, function() client:write(text) end)
    end)
    return function()
      timer:close()
      client:close()
      uv.run("nowait")
    end
  end

  test("tells items and memory, and the rates of who works with it", function()
    local port = start("-m", "8")
    assert.match("STORED", say(port, "set a 0 0 5\nhello\nquit\n"))
    local finish = keep_asking(port, "get a\r\nget none\r\n")
    local ok, values = pcall(server.good, "memcached", { port = port }, 3)
    finish()
    assert(ok, values)
    assert.same({ 1, 8 * 2 ^ 20, 1024 }, { values.items, values["memory.max"], values["connections.max"] })
    assert.is_true(values["memory.used"] > 50 and values["memory.usage"] > 0 and values["memory.usage"] < 1)
    assert.is_true(values.gets > 1 and values.hits > 0 and values.misses > 0 and values["net.in"] > 0)
    assert.is_true(values["hit.ratio"] > 20 and values["hit.ratio"] < 80)
    assert.same({ 0, 0 }, { values.evictions, values.sets })
  end)

  test("tells evictions where the memory does not suffice", function()
    local port = start("-m", "2", "-I", "512k")
    local busy = program.spawn("/bin/sh", { "-c", ("i=0; v=$(head -c 100000 /dev/zero | tr '\\0' x); while "
      .. "printf 'set k%%d 0 0 100000 noreply\\r\\n%%s\\r\\n' $i $v; do i=$((i+1)); done 2>/dev/null "
      .. "| nc 127.0.0.1 %d"):format(port) })
    local ok, why = pcall(program.wait, "evictions", 30, function()
      return (server.good("memcached", { port = port }, 2).evictions or 0) > 0
    end)
    server.stop(running[#running])
    running[#running] = nil
    busy.wait(20)
    assert(ok, why)
  end)

  test("comes by a unix socket, and is published by a running agent", function()
    local socket = folder .. "/memcached.sock"
    local args = { "-s", socket, "-a", "777" }
    if uv.getuid() == 0 then args[5], args[6] = "-u", "nobody" end
    uv.fs_chmod(folder, 511)
    running[1] = server.start(MEMCACHED, args, function() return uv.fs_stat(socket) and server.listens(socket) end)
    assert.equal(4, server.good("memcached", { socket = socket }).threads)
    local values = server.published("memcached", { socket = socket },
      { "PLUGIN.memcached.connections", "PLUGIN.memcached.connections.new", "plugin.memcached" })
    assert.equal(0, values["plugin.memcached"])
  end)

  test("says why there are no stats", function()
    program.write(folder .. "/users", "a:b\n")
    local why = server.bad("memcached", { port = start("-Y", folder .. "/users") })
    assert.match("no answer of memcached: \"CLIENT_ERROR", why)
    assert.match("nothing within 0.5 s", server.bad("memcached", { port = start("-B", "binary"), timeout = 0.5 }))
    local port = start()
    running[#running].kill("sigstop")
    assert.match("stats: .*nothing within 0.5 s", server.bad("memcached", { port = port, timeout = 0.5 }))
    assert.match("ECONNREFUSED", server.bad("memcached", { port = loop.free_port() }))
  end)
end)
