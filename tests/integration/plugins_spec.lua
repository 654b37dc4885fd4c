-- Plugins in the running agent: from a git repository to points, driven by curl.

local cjson = require("cjson")
local program = require("program")
local repository = require("repository")
local uv = require("luv")

local folder, agent

local function item(name, more)
  local all = { measurement_type = "PLUGIN", name = "PLUGIN." .. name, git = repository.address("ops/" .. name),
    interval = "10" }
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

local function start(items, conf)
  local all = { agent = { git = repository.format(folder), mininterval = 1 }, plugins = {} }
  for section, values in pairs(conf or {}) do
    for key, value in pairs(values) do all[section][key] = value end
  end
  agent = program.agent({ "start", "-f", program.configure(folder, all, { ["a.loda"] = items }) })
  program.ready(folder, agent)
end

local function stop()
  if not agent then return end
  agent.kill("sigterm")
  agent.wait(15)
  agent = nil
end

-- All points so far: { name, value, tags, database }.
local function points(name)
  local found = {}
  for line in (program.read(folder .. "/points") or ""):gmatch("([^\n]+)\n") do
    local message = cjson.decode(line)
    for _, point in ipairs(message.points) do
      if point.measurement == name then
        found[#found + 1] = { value = point.fields.value, tags = point.tags, database = message.database }
      end
    end
  end
  return found
end

local function wait_point(name, check)
  return program.wait(name, 30, function()
    for _, point in ipairs(points(name)) do
      if not check or check(point) then return point end
    end
  end)
end

local function call(path, name, more)
  return (program.curl(folder, ("/plugins/%s?ns=a.loda&repo=%s%s"):format(path, repository.address("ops/" .. name),
    more or "")))
end

local function listed(name)
  return (program.curl(folder, "/plugins/list")):match("a%.loda|" .. name .. " enabled:(%a+)")
end

describe("a plugin from git", function()
  before_each(function()
    folder = program.folder()
    uv.fs_chmod(folder, 493) -- for the plugins' user
  end)
  after_each(function()
    stop()
    program.remove(folder)
  end)

  it("is cloned, run as nobody in its own directory, and its metrics published with the run's own", function()
    local commit = repository.commit(folder, "ops/mysql", { ["plugin.sh"] = [[
      printf '[{"name":"threads","value":7,"tags":{"who":"%s"}},{"name":"args","value":%d},' "$(id -un)" $#
      printf '{"name":"env","value":1,"tags":{"ns":"%s","plugin":"%s","interval":"%s"}},' \
        "$AGENT_NS" "$AGENT_PLUGIN" "$AGENT_INTERVAL"
      printf '{"name":"bad name","value":1},'
      printf '{"name":"here","value":%d},' "$([ -f plugin.sh ] && echo 1 || echo 0)"
      printf '{"name":"home","value":%d}]' "$(touch "$HOME/x" && echo 1 || echo 0)"
    ]] })
    start({ item("mysql", { parameters = "-a b  c" }) })
    local point = wait_point("PLUGIN.mysql.threads")
    assert.equal(7, point.value)
    assert.equal("collect.a.loda", point.database)
    if uv.getuid() == 0 then assert.equal("nobody", point.tags.who) end
    assert.equal(3, points("PLUGIN.mysql.args")[1].value)
    local tags = points("PLUGIN.mysql.env")[1].tags
    assert.same({ "a.loda", "mysql", "10" }, { tags.ns, tags.plugin, tags.interval })
    assert.equal(1, points("PLUGIN.mysql.here")[1].value)
    assert.equal(1, points("PLUGIN.mysql.home")[1].value)
    local run = wait_point("plugin.mysql")
    assert.same({ 0, commit, "regular" }, { run.value, run.tags.commit, run.tags.type })
    for _, name in ipairs({ "seconds", "cpu_ms", "maxrss", "output_bytes" }) do
      assert.is_true(points("agent.plugin." .. name)[1].value > 0)
    end
    assert.equal("true", listed("mysql"))
    assert.same({}, points("plugin.result"))
    local status = cjson.decode((program.curl(folder, "/me/status"))).plugins
    assert.equal(1, status.plugins)
    if status.cgroups.directory then
      assert.equal("directory", uv.fs_stat(status.cgroups.directory).type)
    else
      assert.matches("cgroup", status.cgroups.why)
    end
    if not status.cgroups.memory then assert.matches("limits that nobody holds here.*plugins.memory", agent.output) end
  end)

  it("that fails is told of in its own namespace and in the one for exceptions", function()
    repository.commit(folder, "ops/bad", { ["plugin.sh"] = "echo broken >&2; exit 3" })
    start({ item("bad") })
    assert.equal(1, wait_point("plugin.bad").value)
    local result = wait_point("plugin.result")
    assert.same({ 1, "collect.exception.monitor.loda", "ops/bad", "a.loda", "regular" },
      { result.value, result.database, result.tags.name, result.tags.ns, result.tags.type })
  end)

  it("that prints nonsense or runs too long has its own status", function()
    repository.commit(folder, "ops/nonsense", { ["plugin.sh"] = "echo '[{'" })
    repository.commit(folder, "ops/slow", { ["plugin.sh"] = "trap '' TERM; sleep 60 & wait; sleep 60" })
    start({ item("nonsense"), item("slow", { timeout = "1" }) })
    assert.equal(3, wait_point("plugin.nonsense").value)
    assert.equal(2, wait_point("plugin.slow").value)
  end)

  it("runs on call only when its interval is 0, once at a time", function()
    repository.commit(folder, "ops/call", { ["plugin.sh"] = [[
      echo "$@" >>"$HOME/ran"
      echo "out $1"
      [ "$1" != wait ] || { touch "$HOME/waits"; read -r _ <"$HOME/../../../../go" || sleep 5; }
      [ "$1" != fail ] || exit 2
    ]] })
    start({ item("call", { interval = "0" }) })
    program.wait("the checkout", 30, function() return call("run", "call") == "run plugin successfully" end)
    assert.is_nil(listed("call"))
    assert.equal("run plugin successfully", call("run", "call", "&param=a%20b"))
    assert.equal("run plugin a.loda PLUGIN.call accurs an error:exit status 2\n", call("run", "call", "&param=fail"))
    assert.equal("call", wait_point("plugin.result").tags.type)
    assert.equal("plugin started\n", call("run", "call", "&param=wait&wait=0"))
    assert.equal("plugin is running", call("run", "call"))
    assert.equal("invalid timeout\n", call("run", "call", "&timeout=soon"))
    assert.equal("plugin doesn't exist, add to loda first please\n", call("run", "other"))
  end)

  it("is updated on /plugins/update only, and the list names the commit that runs", function()
    local first = repository.commit(folder, "ops/v", { ["plugin.sh"] = "echo '[{\"name\":\"version\",\"value\":1}]'" })
    start({ item("v", { interval = "1" }) })
    wait_point("PLUGIN.v.version")
    local second = repository.commit(folder, "ops/v",
      { ["plugin.sh"] = "echo '[{\"name\":\"version\",\"value\":2}]'" })
    program.curl(folder, "/update")
    assert.equal(first, points("plugin.v")[#points("plugin.v")].tags.commit)
    assert.equal("update successfully\n", call("update", "v"))
    wait_point("PLUGIN.v.version", function(point) return point.value == 2 end)
    wait_point("plugin.v", function(point) return point.tags.commit == second end)
    -- What can't be put in force leaves what is.
    repository.commit(folder, "ops/v", { ["plugin.sh"] = false, ["README"] = "no entry any more" })
    assert.matches("^update failed: ", call("update", "v"))
    local count = #points("PLUGIN.v.version")
    program.wait("a further run", 30, function() return #points("PLUGIN.v.version") > count end)
  end)

  it("that is disabled doesn't run, also after a restart, until it is enabled or a day has passed", function()
    repository.commit(folder, "ops/d", { ["plugin.sh"] = "echo '[{\"name\":\"x\",\"value\":1}]'" })
    local items = { item("d", { interval = "1" }) }
    start(items)
    wait_point("PLUGIN.d.x")
    assert.equal("plugin disabled successfully\n", call("disable", "d"))
    assert.equal("false", listed("d"))
    assert.equal("", program.read(folder .. "/plugins/plugin.disabled/a.loda|d"))
    stop()
    os.remove(folder .. "/points")
    start(items)
    program.wait("the plugin", 30, function() return listed("d") end)
    assert.equal("false", listed("d"))
    assert.equal("plugin enabled successfully\n", call("enable", "d"))
    wait_point("PLUGIN.d.x")
    assert.equal("plugin disabled successfully\n", call("disable", "d"))
    stop()
    os.execute(("touch -d '25 hours ago' '%s/plugins/plugin.disabled/a.loda|d'"):format(folder))
    start(items)
    program.wait("the plugin to be enabled again", 30, function() return listed("d") == "true" end)
    assert.is_nil(program.read(folder .. "/plugins/plugin.disabled/a.loda|d"))
  end)

  it("that can't be cloned is said to be so, and tried again when asked", function()
    start({ item("later") })
    assert.equal(1, wait_point("plugin.later").value)
    assert.matches("^update failed: ", call("update", "later"))
    repository.commit(folder, "ops/later", { ["plugin.sh"] = "echo '[{\"name\":\"x\",\"value\":1}]'" })
    assert.equal("update successfully\n", call("update", "later"))
    wait_point("PLUGIN.later.x")
  end)

  it("ends with the agent, and nothing of it is left", function()
    repository.commit(folder, "ops/stay", { ["plugin.sh"] = [[
      trap '' TERM
      setsid sleep 987654 &
      echo $$ >"$HOME/pid"
      sleep 987655
    ]] })
    start({ item("stay") })
    local pid
    program.wait("the run", 30, function()
      local pipe = io.popen(("cat $(find '%s/plugins' -name pid) /dev/null"):format(folder))
      pid = pipe:read("*n")
      pipe:close()
      return pid
    end)
    stop()
    assert.is_nil(program.read(("/proc/%d/stat"):format(pid)))
    local left = io.popen("pgrep -f 'sleep 98765[45]'")
    assert.equal("", left:read("*a"))
    left:close()
  end)
end)
