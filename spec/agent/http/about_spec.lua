local ask = require("http_fakes").ask
local cjson = require("cjson")
local new_router = require("agent.http.router").new

describe("what the agent says of itself", function()
  local function get(path, deps)
    local router = new_router()
    require("agent.http.about").register(router, deps)
    return ask(router, "GET", path).body
  end

  it("is its configuration in force, without the secrets", function()
    local text = get("/me/config", { configuration = function() return {
      agent = { listen = "127.0.0.1:1232", registryaddr = "http://bob:hunter2@r.example.org:80/x",
        git = "git@git.example.org:%s.git", gittoken = "/etc/agent/token", ifaceprefix = {} },
      output = { servers = { "tcp://127.0.0.1:4150" }, password = "hunter2", authsecret = { "hunter2" }, token = "" },
      http = { tokenfile = "/etc/agent/tokens" },
      builtins = { mysql = { interval = 60, dsn = "hunter2", server = "root:hunter2@tcp(127.0.0.1:3306)/" } },
    } end })
    assert.is_nil(text:find("hunter2", 1, true))
    local conf = cjson.decode(text)
    assert.same({ "127.0.0.1:1232", "http://bob:(hidden)@r.example.org:80/x", "git@git.example.org:%s.git",
      "/etc/agent/token" }, { conf.agent.listen, conf.agent.registryaddr, conf.agent.git, conf.agent.gittoken })
    assert.same({ "tcp://127.0.0.1:4150" }, conf.output.servers)
    assert.same({ "(hidden)", "(hidden)", "", "/etc/agent/tokens" },
      { conf.output.password, conf.output.authsecret, conf.output.token, conf.http.tokenfile })
    assert.same({ interval = 60, dsn = "(hidden)", server = "root:(hidden)@tcp(127.0.0.1:3306)/" }, conf.builtins.mysql)
  end)

  it("is what runs, when, how long, and with what error", function()
    local items = cjson.decode(get("/me/items", {
      now = function() return 1000 end, wall = function() return 1714557600 end,
      schedules = function(visit)
        visit("NET", { interval = 10, runs = 0, missed = 0, errors = 0, due = 1002 })
        visit("CPU", { interval = 10, runs = 4, missed = 1, errors = 2, began = 995, due = 1005, last_s = 0.0012345,
          running = true, last_error = { code = "x", message = "no proc" } })
      end,
    }))
    assert.same({
      { item = "CPU", interval = 10, runs = 4, missed = 1, errors = 2, running = true, last_run = 1714557595,
        next_run = 1714557605, last_ms = 1.235, last_error = "no proc" },
      { item = "NET", interval = 10, runs = 0, missed = 0, errors = 0, running = false, next_run = 1714557602,
        last_run = cjson.null, last_ms = cjson.null, last_error = cjson.null },
    }, { items[1], (function(item)
      for _, name in ipairs({ "last_run", "last_ms", "last_error" }) do item[name] = item[name] or cjson.null end
      return item
    end)(items[2]) })
  end)
end)
