-- /metrics before the eyes of Debian's Prometheus.
local program = require("program")

describe("/metrics", function()
  local folder, agent, url

  setup(function()
    folder = program.folder()
    agent = program.agent({ "start", "-f", program.configure(folder) })
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

  it("is nothing that promtool has anything to say about", function()
    local text = program.wait("samples", 20, function()
      local now = get("/metrics")
      return now:find("\nmem_total ") and now:find("\nagent_errors_total ") and now
    end)
    program.write(folder .. "/metrics", text)
    local _, code, output = run("/bin/sh", "-c", "promtool check metrics <" .. folder .. "/metrics")
    assert.same({ 0, "" }, { code, output })
  end)

  it("is scraped by a Prometheus", function()
    program.write(folder .. "/prometheus.yml", ("scrape_configs: [{job_name: agent, scrape_interval: 1s, "
      .. "static_configs: [{targets: ['%s']}]}]\n"):format(url:match("//(.*)")))
    local port = 20000 + agent.pid % 20000
    local prometheus = program.spawn("/usr/bin/prometheus", { "--config.file=" .. folder .. "/prometheus.yml",
      "--storage.tsdb.path=" .. folder .. "/tsdb", "--web.listen-address=127.0.0.1:" .. port })
    local ok, why = pcall(program.wait, "Prometheus to have scraped", 30, function()
      assert(not prometheus.code, prometheus.output)
      local query = ("http://127.0.0.1:%d/api/v1/query?query=mem_total"):format(port)
      local text = run("/usr/bin/curl", "-s", "-m", "5", query)
      return text:find('"__name__":"mem_total"', 1, true)
    end)
    prometheus.kill("sigterm")
    prometheus.wait(20)
    assert(ok, why)
  end)
end)
