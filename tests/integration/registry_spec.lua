-- The running agent and a registry: what the registry says is done, and what it said last is done without it.

local cjson = require("cjson")
local program = require("program")
local registry = require("registry_server")
local uv = require("luv")

local folder, server, agents

local function port_item(name, port)
  return { name = name, measurement_type = "PORT", port = tostring(port), interval = "10" }
end

local function start(address)
  local path = program.configure(folder, { agent = { registryaddr = address or server.address } })
  local agent = program.agent({ "start", "-f", path })
  agents[#agents + 1] = agent
  program.ready(folder, agent)
  return agent
end

local function get(target)
  return (program.curl(folder, target))
end

local function status()
  return cjson.decode(get("/me/status"))
end

local function wait_for_namespaces(text)
  program.wait("namespaces " .. text, 15, function() return get("/me/ns") == text end)
end

local function value_of(name)
  local value
  for line in (program.read(folder .. "/points") or ""):gmatch("([^\n]+)\n") do
    for _, point in ipairs(cjson.decode(line).points) do
      if point.measurement == name then value = point.fields.value end
    end
  end
  return value
end

local function update()
  local curl = program.spawn("/usr/bin/curl", { "-s", "-m", "20", "-H", "Accept: application/json", "--unix-socket",
    folder .. "/agent.sock", "http://localhost/update" })
  curl.wait(25)
  return cjson.decode(curl.stdout)
end

describe("an agent and its registry", function()
  before_each(function()
    folder, agents = program.folder(), {}
    server = registry.start({ ["a.loda"] = {}, ["b.loda"] = {} })
  end)
  after_each(function()
    for _, agent in ipairs(agents) do
      agent.kill()
      agent.wait()
    end
    server:close()
    program.remove(folder)
  end)

  it("publishes for its namespaces, checks their ports, and reports", function()
    local listener = uv.new_tcp()
    listener:bind("127.0.0.1", 0)
    listener:listen(8, function() end)
    server.namespaces["a.loda"] = { port_item("PORT.up", listener:getsockname().port), port_item("PORT.down", 1) }
    start()
    wait_for_namespaces('["a.loda","b.loda"]')
    program.wait("both ports", 15, function() return value_of("PORT.up") and value_of("PORT.down") end)
    assert.equal(1, value_of("PORT.up"))
    assert.equal(0, value_of("PORT.down"))
    program.wait("the report", 15, function()
      for _, request in ipairs(server.requests) do
        if request.target == "/api/v1/agent/report" then
          return cjson.decode(request.body).newhostname == uv.os_gethostname()
        end
      end
    end)
    listener:close()
  end)

  it("takes over what changed on /update and names it, and what is refused", function()
    start()
    wait_for_namespaces('["a.loda","b.loda"]')
    server.namespaces["a.loda"] = { port_item("PORT.x", 1), { name = "bad", measurement_type = "PORT", port = "x" } }
    local diff = update()
    assert.same({ "a.loda PORT PORT.x" }, diff.added)
    assert.equal("bad", diff.refused[1].name)
    assert.matches("port", diff.refused[1].reason)
    assert.equal(1, status().schedules["PORT@10"] and 1)
    server.namespaces["a.loda"], server.namespaces["b.loda"] = {}, nil
    assert.same({ "a.loda PORT PORT.x" }, update().removed)
    assert.equal('["a.loda"]', get("/me/ns"))
    assert.is_nil(status().schedules["PORT@10"])
  end)

  it("keeps a namespace that fails, changes the others, and says so", function()
    server.namespaces["b.loda"] = { port_item("PORT.kept", 1) }
    start()
    wait_for_namespaces('["a.loda","b.loda"]')
    server:script("ns=b", registry.status(500, "node not found"))
    server.namespaces["a.loda"] = { port_item("PORT.new", 1) }
    local diff = update()
    assert.same({ "a.loda PORT PORT.new" }, diff.added)
    assert.same({}, diff.removed)
    assert.equal("b.loda", diff.errors[1].ns)
    assert.matches("node not found", diff.errors[1].message)
  end)

  it("does yesterday's work at once when it starts without a registry, and says how old it is", function()
    server.namespaces["b.loda"] = { port_item("PORT.kept", 1) }
    local agent = start()
    wait_for_namespaces('["a.loda","b.loda"]')
    program.wait("the last good answer on disk", 10, function() return uv.fs_stat(folder .. "/state/registry.json") end)
    agent.kill("sigkill")
    agent.wait()
    server:script(".", registry.hang)
    start()
    assert.equal('["a.loda","b.loda"]', get("/me/ns"))
    local told = status()
    assert.is_true(told.registry.from_cache)
    assert.is_true(told.registry.age >= 0)
    assert.is_table(told.schedules["PORT@10"])
  end)

  it("loads no libcurl into the supervisor", function()
    local agent = start()
    wait_for_namespaces('["a.loda","b.loda"]')
    assert.is_nil(program.read(("/proc/%d/maps"):format(agent.pid)):find("libcurl", 1, true))
    assert.is_nil(program.read(("/proc/%d/maps"):format(agent.pid)):find("/curl.so", 1, true))
  end)
end)
