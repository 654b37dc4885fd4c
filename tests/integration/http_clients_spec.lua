-- The control API before clients not of our making (curl has specs of its own).
local program = require("program")

local function there(name) return os.execute("command -v " .. name .. " >/dev/null 2>&1") == 0 end

local function go()
  for _, path in ipairs({ "go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go" }) do
    if there(path) then return path end
  end
end

describe("the control API speaks with", function()
  local folder, agent, port

  setup(function()
    folder = program.folder()
    agent = program.agent({ "start", "-f", program.configure(folder) })
    program.ready(folder, agent)
    port = program.wait("the address", 10, function() return agent.output:match("127%.0%.0%.1:(%d+)") end)
  end)

  teardown(function()
    agent.kill("sigterm")
    agent.wait(10)
    program.remove(folder)
  end)

  local function check(path, ...)
    local child = program.spawn(path, { ... }, { "HOME=" .. folder, "PATH=" .. os.getenv("PATH") })
    assert.same({ 0, "fine\n" }, { child.wait(60), child.output })
  end

  it("Python's http.client", function()
    if not there("python3") then return pending("SKIPPED: python3 is not here") end
    check("/bin/sh", "-c", "exec python3 -B tests/fixtures/http_client.py " .. port .. " " .. folder .. "/agent.sock")
  end)

  it("Go's net/http", function()
    local compiler = go()
    if not compiler then return pending("SKIPPED: there is no Go toolchain here") end
    local build = program.spawn("/bin/sh", { "-c", ("cd tests/tools/http_client && GOFLAGS=-mod=mod GOPROXY=off "
      .. "GOTOOLCHAIN=local %s build -o %s/http_client ."):format(compiler, folder) },
      { "HOME=" .. (os.getenv("HOME") or folder), "PATH=" .. os.getenv("PATH") })
    assert.equal(0, build.wait(180), build.output)
    check(folder .. "/http_client", port, folder .. "/agent.sock")
  end)

  it("nc, in raw bytes", function()
    if not there("nc") then return pending("SKIPPED: nc is not here") end
    local function nc(bytes)
      program.write(folder .. "/bytes", bytes)
      local child = program.spawn("/bin/sh", { "-c", ("nc -w 5 127.0.0.1 %s <%s/bytes"):format(port, folder) })
      child.wait(20)
      return child.output
    end
    assert.matches('^HTTP/1%.1 200 OK\r\n.*\r\nConnection: close\r\n.*\r\n\r\n%["test.loda"%]$',
      nc("GET /me/ns HTTP/1.0\r\n\r\n"))
    local two = nc("GET /me/ns HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nowhere HTTP/1.0\r\n\r\n")
    assert.matches("^HTTP/1%.1 200 .*HTTP/1%.1 404 .*404 page not found\n", two)
    assert.matches("^HTTP/1%.1 400 Bad Request\r\n", nc("GET /me/ns\r\n\r\n"))
    assert.matches("^HTTP/1%.1 400 Bad Request\r\n", nc("\0\1\2\3"))
    assert.matches("^HTTP/1%.1 403 Forbidden\r\n", nc("GET /me/ns HTTP/1.1\r\nHost: evil.example\r\n\r\n"))
  end)
end)
