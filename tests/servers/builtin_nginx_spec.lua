-- builtin/nginx.lua and builtin/http_check.lua against Debian's nginx, with and without TLS.

local certificates = require("certificates")
local loop = require("loop")
local program = require("program")
local server = require("shipped_server")
local uv = require("luv")

local NGINX = "/usr/sbin/nginx"

local CONF = [[
%sdaemon off; error_log FOLDER/error.log; pid FOLDER/nginx.pid; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path FOLDER/t1; proxy_temp_path FOLDER/t2; fastcgi_temp_path FOLDER/t3;
  uwsgi_temp_path FOLDER/t4; scgi_temp_path FOLDER/t5;
  ssl_certificate FOLDER/server.pem; ssl_certificate_key FOLDER/server.key;
  server {
    listen 127.0.0.1:PLAIN; listen unix:FOLDER/nginx.sock; listen 127.0.0.1:GOOD ssl; root FOLDER;
    location = /stub_status { stub_status; }
    location = /closed { stub_status; auth_basic x; auth_basic_user_file FOLDER/passwords; }
    location = /health { return 200 "state: ok, 100%% (all)\n"; }
    location = /broken { return 503 "state: bad\n"; }
    location = /moved { return 302 /health; }
    location = /slow { limit_rate 1k; alias FOLDER/large; }
    location = /large { alias FOLDER/large; }
  }
  server { listen 127.0.0.1:EXPIRED ssl; ssl_certificate FOLDER/expired.pem; ssl_certificate_key FOLDER/expired.key;
    location / { return 200 "never seen\n"; } }
  server { listen 127.0.0.1:OTHER ssl; ssl_certificate FOLDER/other.pem; ssl_certificate_key FOLDER/other.key;
    location / { return 200 "never seen\n"; } }
  server { listen 127.0.0.1:MUTUAL ssl; ssl_verify_client on; ssl_client_certificate FOLDER/ca.pem;
    location / { return 200 "$ssl_client_s_dn\n"; } }
}
]]

describe("with a real nginx", function()
  local folder, nginx, ports, ca

  local function openssl(command)
    assert(os.execute(("cd %s && openssl %s >>openssl.log 2>&1"):format(folder, command)) == 0, command)
  end

  setup(function()
    if not uv.fs_stat(NGINX) then return end
    folder = server.folder()
    ca = folder .. "/ca.pem"
    certificates.make(folder)
    openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout expired.key -out expired.csr"
      .. " -subj /CN=localhost")
    program.write(folder .. "/names", "subjectAltName=DNS:localhost\n")
    openssl("x509 -req -in expired.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -extfile names"
      .. " -out expired.pem")
    uv.fs_chmod(folder .. "/client.key", 420) -- 0644: who runs builtins shows it
    program.write(folder .. "/large", ("x"):rep(100000))
    program.write(folder .. "/passwords", "me:{PLAIN}hidden\n")
    ports = {}
    local conf = CONF:format(uv.getuid() == 0 and "user root; " or ""):gsub("FOLDER", folder)
    conf = conf:gsub(":(%u+)", function(name)
      ports[name] = ports[name] or loop.free_port()
      return ":" .. ports[name]
    end)
    program.write(folder .. "/nginx.conf", conf)
    nginx = server.start(NGINX, { "-p", folder, "-c", folder .. "/nginx.conf" },
      function() return server.listens(ports.MUTUAL) end)
    uv.fs_chmod(folder .. "/nginx.sock", 511) -- 0777
  end)

  teardown(function()
    server.stop(nginx)
    if folder then program.remove(folder) end
  end)

  local function test(name, fn)
    it(name, function()
      if not folder then return pending("nginx is not installed") end
      fn()
    end)
  end

  local function plain(path) return ("http://127.0.0.1:%d%s"):format(ports.PLAIN, path) end

  describe("builtin nginx", function()
    test("tells connections, and the rates of who asks", function()
      local values = server.good("nginx", { url = plain("/stub_status") }, 2)
      assert.is_true(values["connections.active"] >= 1 and values["connections.writing"] >= 1)
      assert.same({ 0, 0 }, { values["connections.reading"], values["connections.dropped"] })
      assert.is_true(values.requests > 0 and values.requests < 20 and values["connections.accepted"] >= 0)
    end)

    test("comes by TLS, by a unix socket and with a password, and is published by a running agent", function()
      local tls = ("https://localhost:%d/stub_status"):format(ports.GOOD)
      assert.is_true(server.good("nginx", { url = tls, ca_file = ca })["connections.active"] >= 1)
      assert.match("certificate", server.bad("nginx", { url = tls }))
      assert.is_true(server.good("nginx", { url = "http://x/stub_status", unix = folder .. "/nginx.sock" })
        ["connections.active"] >= 1)
      assert.match("status 401", server.bad("nginx", { url = plain("/closed") }))
      assert.is_true(server.good("nginx", { url = plain("/closed"), user = "me:hidden" })["connections.active"] >= 1)
      local values = server.published("nginx", { url = plain("/stub_status") },
        { "PLUGIN.nginx.requests", "plugin.nginx" })
      assert.equal(0, values["plugin.nginx"])
    end)

    test("says that a page is another, or not there", function()
      assert.match('no page of stub_status: "state: ok', server.bad("nginx", { url = plain("/health") }))
      assert.match("status 404", server.bad("nginx", { url = plain("/none") }))
      assert.match("larger", server.bad("nginx", { url = plain("/large") }))
    end)
  end)

  describe("builtin http_check", function()
    -- The values by name, without the tag, which must be `url` without its query.
    local function check(given)
      local url, values = given.url:match("^[^?]*"), {}
      for key, value in pairs(server.good("http_check", given)) do
        values[assert(key:match("^(.-){url=" .. url:gsub("%p", "%%%0") .. "}$"), key)] = value
      end
      return values
    end

    local function https(port, path) return ("https://localhost:%d%s"):format(port, path or "/") end

    test("tells that all is well, and how long it took", function()
      local values = check({ url = plain("/health") .. "?key=hidden", match = "100% (all)", pattern = "^state: ok" })
      assert.same({ 1, 0, 200, 22 }, { values.up, values.result, values.status, values.size })
      local sum = values["dns.seconds"] + values["connect.seconds"] + values["wait.seconds"]
        + values["transfer.seconds"]
      assert.is_true(values.seconds > 0 and math.abs(sum - values.seconds) < 1e-6)
      assert.same({}, { values["tls.seconds"], values["certificate.days"], values["certificate.valid"] })
    end)

    test("tells an unwanted status, a missing text, and a redirect", function()
      assert.same({ 1, 503 }, { check({ url = plain("/broken") }).result, check({ url = plain("/broken") }).status })
      assert.equal(0, check({ url = plain("/broken"), status = "500-599" }).result)
      assert.equal(2, check({ url = plain("/health"), match = "100%% (all)" }).result)
      assert.equal(2, check({ url = plain("/health"), pattern = "^ok" }).result)
      assert.same({ 0, 302 }, { check({ url = plain("/moved") }).result, check({ url = plain("/moved") }).status })
      local followed = check({ url = plain("/moved"), redirects = 1, match = "ok" })
      assert.same({ 0, 200 }, { followed.result, followed.status })
      assert.equal(0, check({ url = "http://x/health", unix = folder .. "/nginx.sock" }).result)
    end)

    test("tells why there is no answer", function()
      assert.same({ up = 0, result = 6 }, check({ url = plain("/slow"), timeout = 0.5 }))
      assert.same({ up = 0, result = 8 }, check({ url = plain("/large"), max_body = 1000 }))
      assert.same({ up = 0, result = 4 }, check({ url = "http://127.0.0.1:" .. loop.free_port() .. "/" }))
      assert.same({ up = 0, result = 3 }, check({ url = "http://nowhere.invalid/" }))
      assert.same({ up = 0, result = 5 }, check({ url = ("https://127.0.0.1:%d/"):format(ports.PLAIN) }))
    end)

    test("tells the days of a good certificate", function()
      local values = check({ url = https(ports.GOOD, "/health"), ca_file = ca })
      assert.same({ 1, 1, 200 }, { values.up, values["certificate.valid"], values.status })
      assert.is_true(values["certificate.days"] > 1.9 and values["certificate.days"] <= 2)
      assert.is_true(values["tls.seconds"] > 0)
    end)

    test("tells an expired certificate, one of another name, and one of a stranger", function()
      local values = check({ url = https(ports.EXPIRED), ca_file = ca })
      assert.same({ 0, 5, 0 }, { values.up, values.result, values["certificate.valid"] })
      assert.is_true(values["certificate.days"] < -0.9 and values["certificate.days"] > -1.1)
      assert.is_nil(values.status)
      for _, case in ipairs({ { https(ports.OTHER), ca }, { https(ports.GOOD), folder .. "/stranger.pem" } }) do
        values = check({ url = case[1], ca_file = case[2] })
        assert.same({ 0, 5, 0 }, { values.up, values.result, values["certificate.valid"] })
        assert.is_true(values["certificate.days"] > 1.9)
      end
      values = check({ url = https(ports.EXPIRED), verify = false })
      assert.same({ 1, 200 }, { values.up, values.status })
      assert.is_true(values["certificate.days"] < -0.9)
      assert.is_nil(values["certificate.valid"])
    end)

    test("shows its own certificate where it is asked for", function()
      local values = check({ url = https(ports.MUTUAL), ca_file = ca, certificate = folder .. "/client.pem",
        key = folder .. "/client.key", match = "CN=web07" })
      assert.equal(0, values.result)
      assert.equal(1, check({ url = https(ports.MUTUAL), ca_file = ca }).result)
    end)

    test("is published by a running agent", function()
      local values = server.published("http_check", { url = https(ports.GOOD, "/health"), ca_file = ca },
        { "PLUGIN.http_check.up", "PLUGIN.http_check.certificate.days", "plugin.http_check" })
      assert.same({ 1, 0 }, { values["PLUGIN.http_check.up"], values["plugin.http_check"] })
    end)

    test("says that its parameters are wrong", function()
      assert.match("params.url is missing", server.bad("http_check", { match = "x" }))
      assert.match("params.status", server.bad("http_check", { url = plain("/"), status = "2xx" }))
      assert.match("params.pattern", server.bad("http_check", { url = plain("/"), pattern = "%" }))
      assert.match("params.ca_file: .*ENOENT", server.bad("http_check", { url = https(1), ca_file = "/none.pem" }))
      assert.match("no http", server.bad("http_check", { url = "ftp://127.0.0.1/" }))
    end)
  end)
end)
