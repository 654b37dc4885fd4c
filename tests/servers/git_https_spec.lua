-- Plugins from nginx with git-http-backend, which wants a password.

local git = require("git_server")
local loop = require("loop")
local program = require("program")
local uv = require("luv")

local NGINX, FCGIWRAP = "/usr/sbin/nginx", "/usr/sbin/fcgiwrap"
local NS = "web.shop.loda"

local CONF = [[
daemon off;
%s
pid FOLDER/nginx.pid;
error_log stderr;
events { }
http {
  access_log FOLDER/access.log;
  client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  server {
    listen 127.0.0.1:@PORT@ ssl;
    ssl_certificate FOLDER/server.pem;
    ssl_certificate_key FOLDER/server.key;
    location /moved/ {
      return 302 https://elsewhere.invalid:@PORT@/open/ops/hello.git/info/refs?service=git-upload-pack;
    }
    location ~ ^/(?<door>open|closed)(?<path>/.*)$ {
      set $realm off;
      if ($door = closed) { set $realm git; }
      auth_basic $realm;
      auth_basic_user_file FOLDER/passwords;
      fastcgi_pass unix:FOLDER/fcgi.sock;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT FOLDER;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param PATH_INFO $path;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REMOTE_USER $remote_user;
    }
  }
}
]]

describe("a plugin from an https server", function()
  local folder, nginx, fcgiwrap, port, commit

  local function certificates()
    local make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
      .. " -keyout %s.key -out %s.pem -subj /CN=%s"
    for _, ca in ipairs({ "ca", "stranger" }) do git.sh(folder, make:format(ca, ca, ca)) end
    git.sh(folder, (make .. " -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost"
      .. " -addext basicConstraints=critical,CA:false"):format("server", "server", "localhost"))
  end

  setup(function()
    if not uv.fs_stat(NGINX) or not uv.fs_stat(FCGIWRAP) then return end
    folder = program.folder()
    git.sh(folder, "mkdir ops")
    commit = git.repository(folder, "ops/hello"):commit({ ["plugin.sh"] = "echo []\n" })
    certificates()
    git.sh(folder, "echo \"bot:$(openssl passwd -apr1 hidden)\" >passwords")
    port = loop.free_port()
    local conf = CONF:format(uv.getuid() == 0 and "user root;" or ""):gsub("FOLDER", folder):gsub("@PORT@", port)
    program.write(folder .. "/nginx.conf", conf)
    fcgiwrap = program.spawn(FCGIWRAP, { "-s", "unix:" .. folder .. "/fcgi.sock" })
    nginx = program.spawn(NGINX, { "-p", folder, "-c", folder .. "/nginx.conf" })
    git.wait_for(port, nginx)
    program.wait("fcgiwrap", 20, function() return uv.fs_stat(folder .. "/fcgi.sock") end)
  end)
  teardown(function()
    if not folder then return end
    for _, child in ipairs({ nginx, fcgiwrap }) do
      child.kill("sigterm")
      child.wait(20)
    end
    program.remove(folder)
  end)

  local function missing() pending("git over https: nginx or fcgiwrap is not installed") end

  -- What comes of a clone with this configuration, in a fresh directory.
  local function clone(conf, url)
    git.sh(folder, "rm -rf plugins")
    for key, text in pairs(conf) do
      if key == "gittoken" then program.write(folder .. "/token", text) end
      if key ~= "git" then conf[key] = folder .. "/" .. (key == "gittoken" and "token" or text) end
    end
    conf.git = ("https://%slocalhost:%d/%s/%%s.git"):format(url and url[1] or "", port, url and url[2] or "closed")
    local checkout = git.checkout(folder, conf)
    local tree, err = checkout:ensure(git.record(NS, "hello"))
    checkout:idle()
    for _, line in ipairs({ err and err.message or "", table.concat(checkout.logged, "\n") }) do
      assert.is_nil(line:find("hidden", 1, true))
      assert.is_nil(line:find("wrong-secret", 1, true))
    end
    return tree, err
  end

  it("comes with a token of a file, alone or with its user, or as a store has it", function()
    if not folder then return missing() end
    for _, token in ipairs({ "bot:hidden\n", ("https://bot:hidden@localhost:%d\n"):format(port) }) do
      local tree, err = clone({ gitca = "ca.pem", gittoken = token })
      assert.is_nil(err and err.message)
      assert.equal(commit, tree.commit)
    end
  end)

  it("comes with user and password of agent.git, which appear nowhere", function()
    if not folder then return missing() end
    local tree, err = clone({ gitca = "ca.pem" }, { "bot:hidden@", "closed" })
    assert.is_nil(err and err.message)
    assert.equal(commit, tree.commit)
    assert.is_nil(git.sh(folder, "grep -r hidden plugins || true"):find("hidden", 1, true))
  end)

  it("comes without any where none is wanted", function()
    if not folder then return missing() end
    assert.equal(commit, clone({ gitca = "ca.pem" }, { "", "open" }).commit)
  end)

  it("does not come with a wrong token, or with none", function()
    if not folder then return missing() end
    for _, conf in ipairs({ { gitca = "ca.pem", gittoken = "bot:wrong-secret" }, { gitca = "ca.pem" } }) do
      local tree, err = clone(conf)
      assert.is_nil(tree)
      assert.equal("auth", err.code, err.message)
      assert.matches("^https://localhost:%d+/closed/ops/hello.git: ", err.message)
    end
    local _, err = clone({ gitca = "ca.pem" }, { "bot:wrong-secret@", "closed" })
    assert.equal("auth", err.code)
  end)

  it("does not come with a certificate of another authority, and the password is not sent", function()
    if not folder then return missing() end
    local before = program.read(folder .. "/access.log")
    for _, conf in ipairs({ { gitca = "stranger.pem" }, {} }) do
      local tree, err = clone(conf, { "bot:hidden@", "closed" })
      assert.is_nil(tree)
      assert.equal("certificate", err.code, err.message)
    end
    assert.equal(before, program.read(folder .. "/access.log"))
  end)

  it("does not come by a redirect to another host", function()
    if not folder then return missing() end
    local tree, err = clone({ gitca = "ca.pem" }, { "", "moved" })
    assert.is_nil(tree)
    assert.equal("failed", err.code)
    assert.matches("cannot redirect", err.message)
  end)
end)
