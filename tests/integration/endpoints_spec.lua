-- What the running agent tells: /healthz, /metrics, /me/…, /tail, /log/offset; asked by clients not of our making.
local cjson = require("cjson")
local program = require("program")

describe("the running agent's endpoints", function()
  local folder, agent, url

  setup(function()
    folder = program.folder()
    os.execute(("mkdir %s/logs && seq 1 5 > %s/logs/a.log"):format(folder, folder))
    agent = program.agent({ "start", "-f", program.configure(folder, { http = { logdirs = { folder .. "/logs" } } },
      { ["one.loda"] = {}, ["two.loda"] = {} }) })
    program.ready(folder, agent)
    url = "http://" .. program.wait("the address", 10, function() return agent.output:match("127%.0%.0%.1:%d+") end)
  end)

  teardown(function()
    agent.kill("sigterm")
    agent.wait(10)
    program.remove(folder)
  end)

  local function run(path, ...)
    local child = program.spawn(path, { ... })
    child.wait(30)
    return child.stdout, child.code, child.output
  end

  local function get(target) return run("/usr/bin/curl", "-s", "-m", "20", url .. target) end

  it("are healthy once something has run", function()
    program.wait("health", 20, function() return get("/healthz") == "ok\n" end)
  end)

  it("are not healthy while nsqd is away, and say so", function()
    local other = program.folder()
    local path = program.configure(other, { output = { name = "nsq", servers = { "tcp://127.0.0.1:9" } } })
    program.write(path, (program.read(path):gsub('%["path"%] = "[^"]*",? ?', ""))) -- nsq has none
    local lonely = program.agent({ "start", "-f", path })
    local ok, why = pcall(function()
      program.ready(other, lonely)
      local text = program.wait("trouble", 20, function()
        local body, status = program.curl(other, "/healthz")
        return status == 503 and body:find("delivering", 1, true) and body
      end)
      assert.matches("delivering: not connected to ", text)
    end)
    lonely.kill()
    lonely.wait(10)
    program.remove(other)
    assert(ok, why)
  end)

  it("show every group's samples to the first scrape, and what is posted from then on", function()
    program.wait("samples", 20, function()
      local text = get("/metrics")
      return text:find("\nmem_total ") and text:find("\ncpu_loadavg_1 ") and text:find("\nagent_errors_total 0\n")
    end)
    get("/metrics")
    local posted = '[{"name":"orders.paid","value":42,"tags":{"shard":"3"}}]'
    run("/usr/bin/curl", "-s", "-d", posted, url .. "/post?ns=one.loda")
    program.wait("the posted sample", 10, function()
      return get("/metrics"):find('\nRUN_orders_paid{ns="one.loda",shard="3"} 42\n', 1, true)
    end)
    assert.matches("# EOF\n$", (run("/usr/bin/curl", "-s", "-H", "Accept: application/openmetrics-text; version=1.0.0",
      url .. "/metrics")))
  end)

  it("say what is configured and what runs", function()
    assert.equal(folder .. "/points", cjson.decode((get("/me/config"))).output.path)
    local items = cjson.decode((get("/me/items")))
    local cpu
    for _, item in ipairs(items) do cpu = item.item == "CPU" and item or cpu end
    assert.equal(10, cpu.interval)
    assert.is_true(cpu.runs >= 1 and cpu.last_ms > 0 and math.abs(cpu.last_run - os.time()) < 60)
  end)

  it("stream what is published while somebody looks on", function()
    local tail = program.spawn("/usr/bin/curl", { "-s", "-N", "-m", "25", url .. "/tail?name=RUN.live&ns=two.loda" })
    local posted = 0
    program.wait("the point", 20, function()
      posted = posted + 1
      run("/usr/bin/curl", "-s", "-d", '[{"name":"live","value":' .. posted .. "}]", url .. "/post?ns=two.loda")
      return tail.stdout:find("\n")
    end)
    tail.kill()
    tail.wait(10)
    local point = cjson.decode((tail.stdout:match("^[^\n]*")))
    assert.same({ { "two.loda" }, "RUN.live" }, { point.ns, point.measurement })
  end)

  it("read logs below their directory alone", function()
    local part = cjson.decode((get("/log/offset?offset=2&num=2&fpath=" .. folder .. "/logs/a.log")))
    assert.same({ "2\n", "3\n" }, part.data)
    assert.equal(500, cjson.decode((get("/log/offset?fpath=/etc/passwd"))).status_code)
  end)
end)
