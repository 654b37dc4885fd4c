-- The way of a point under load: publishing beside nsqd's own bench_writer, POST /post by wrk, and an outage of nsqd.

package.path = "./tests/chaos/?.lua;" .. package.path

local cjson = require("cjson")
local judge = require("judge")
local median = require("report").median
local nsqd = require("nsqd")
local point = require("point")
local program = require("program")
local uv = require("luv")

local ROUNDS, SECONDS, BYTES = 3, 5, 500
local BEFORE, OUTAGE, AFTER, RATE = 15, 30, 15, 200
local TOPIC = "collect.bench.loda"

local function run(path, args, env)
  local child = program.spawn(path, args, env)
  assert(child.wait(SECONDS + 60) == 0, child.output)
  return child.output
end

-- Milliseconds of CPU and KiB of most RSS of a process so far.
local function usage(pid)
  local stat = program.read(("/proc/%d/stat"):format(pid)):match("^.*%) (.*)$")
  local fields = {}
  for field in stat:gmatch("%S+") do fields[#fields + 1] = tonumber(field) or 0 end
  local rss = program.read(("/proc/%d/status"):format(pid)):match("VmHWM:%s*(%d+)")
  return (fields[12] + fields[13]) * 10, tonumber(rss)
end

local function start(folder, server)
  local path = program.configure(folder, {
    output = { name = "nsq", servers = { "tcp://127.0.0.1:" .. server.tcp_port } }, log = { loglevel = "INFO" },
  }, { ["bench.loda"] = {} })
  program.write(path, (program.read(path):gsub('%["path"%] = "[^"]*",? ?', "")))
  local agent = program.agent({ "start", "-f", path })
  program.ready(folder, agent)
  return agent, agent.output:match("127%.0%.0%.1:(%d+)")
end

local function status(folder)
  return cjson.decode((program.curl(folder, "/me/status")))
end

-- Both in turns, so that what else the machine does hits both.
local function publishing(out)
  local writer = os.getenv("BENCH_WRITER")
  if not writer or not uv.fs_access(writer, "X") then
    return out:goal("publishing: bench_writer is not here", "%.2f", nil, 2)
  end
  local server, ours, theirs = nsqd.start(), {}, {}
  for round = 1, ROUNDS do
    ours[round] = tonumber(run(os.getenv("AGENT"), { "lua", "tests/bench/publish.lua", tostring(server.tcp_port),
      "ours#ephemeral", tostring(SECONDS), tostring(BYTES) }))
    theirs[round] = tonumber(run(writer, { "--nsqd-tcp-address=127.0.0.1:" .. server.tcp_port,
      ("--runfor=%ds"):format(SECONDS), "--size=" .. BYTES, "--topic=theirs#ephemeral" }):match("([%d.]+)ops/s"))
    out:sample("publishing", round, ours[round], theirs[round])
  end
  server:stop()
  out:head(("publishing messages of %d bytes"):format(BYTES), "messages/s")
  out:row("agent's outbox and output, one connection, no JIT", ("%.0f"):format(median(ours)))
  out:row("nsqd's bench_writer, a connection for each core, batches of 200", ("%.0f"):format(median(theirs)))
  out:goal("publishing: bench_writer / agent", "%.2f", median(theirs) / median(ours), 2)
end

local function count_points(message)
  local n, at = 0, message:find('{"measurement":', 1, true)
  while at do
    n, at = n + 1, message:find('{"measurement":', at + 60, true)
  end
  return n
end

-- Points of the posts that nsqd has; what the agent collects by itself is not among them.
local function delivered(server)
  local points, last = 0, uv.hrtime()
  local reader = server:subscribe(TOPIC, function(bytes)
    if bytes:find('"RUN.orders.paid"', 1, true) then points = points + count_points(bytes) end
    last = uv.hrtime()
  end)
  program.wait("all points to be read", 120, function() return uv.hrtime() - last > 1e9 end)
  reader:close()
  return points
end

-- One round of posts: points delivered a second, p99 in ms, KiB of RSS, µs of CPU a request.
local function post_round(out, folder, metrics)
  local server = nsqd.start()
  local agent, port = start(folder, server)
  local before = usage(agent.pid)
  local said = run("/usr/bin/wrk", { "-t1", "-c10", "-d" .. SECONDS, "-s", "tests/bench/wrk_post.lua",
    ("http://127.0.0.1:%s/post?ns=bench.loda"):format(port) }, { "METRICS=" .. metrics, "PATH=/usr/bin:/bin" })
  local cpu, rss = usage(agent.pid)
  local requests, duration, refused, broken, p99 = said:match("RESULT (%d+) (%d+) (%d+) (%d+) (%d+)")
  requests, duration = tonumber(requests), tonumber(duration) / 1e6
  program.wait("an empty queue", 20, function() return status(folder).outbox.messages == 0 end)
  agent.kill("sigterm")
  agent.wait(20)
  local points = delivered(server)
  server:stop()
  out:sample("posts", metrics, requests, duration, refused, broken, p99, points, rss, cpu - before)
  return { rate = requests / duration, p99 = tonumber(p99) / 1e3, rss = rss, cpu = (cpu - before) * 1e3 / requests,
    refused = tonumber(refused) + tonumber(broken), lost = math.max(0, requests * metrics - points) }
end

local function posts(out, options, metrics, goal)
  local rounds = {}
  for round = 1, ROUNDS do
    local folder = ("%s/posts%d-%d"):format(options.folder, metrics, round)
    uv.fs_mkdir(folder, 493)
    rounds[round] = post_round(out, folder, metrics)
  end
  local function middle(name)
    local values = {}
    for i, one in ipairs(rounds) do values[i] = one[name] end
    return median(values)
  end
  local function most(name)
    local value = 0
    for _, one in ipairs(rounds) do value = math.max(value, one[name]) end
    return value
  end
  local what = ("POST /post, %d metrics each"):format(metrics)
  out:row(what, ("%.0f"):format(middle("rate")), ("%.0f"):format(middle("rate") * metrics),
    ("%.1f"):format(middle("p99")), ("%.1f"):format(most("rss") / 1024), ("%.1f"):format(middle("cpu")),
    ("%d"):format(most("refused")), ("%d"):format(most("lost")))
  out:goal(what .. ": µs a request", "%.1f", 1e6 / middle("rate"), 1e6 / goal)
  out:goal(what .. ": p99, ms", "%.1f", middle("p99"), 20)
  out:goal(what .. ": most RSS, MiB", "%.1f", most("rss") / 1024, 32)
  out:goal(what .. ": refused or lost", "%d", most("refused") + most("lost"), 0)
end

local function rest(seconds)
  local at = uv.hrtime() + seconds * 1e9
  program.wait("time to pass", seconds + 30, function() return uv.hrtime() >= at end)
end

local function outage(out, options)
  local folder = options.folder .. "/outage"
  uv.fs_mkdir(folder, 493)
  -- nsqd is killed, so its OK must mean its disk.
  local server = nsqd.start({ "--mem-queue-size=0", "--sync-every=1" })
  local agent = start(folder, server)
  local producer = program.agent({ "lua", "tests/chaos/producer.lua", folder .. "/agent.sock", tostring(RATE), "1",
    folder .. "/produced" })
  rest(BEFORE)
  local before = usage(agent.pid)
  server:halt("sigkill")
  rest(OUTAGE)
  local cpu = usage(agent.pid) - before
  server:launch()
  local back = uv.hrtime()
  program.wait("the backlog to be delivered", 60, function() return status(folder).spool.files == 0 end)
  local seconds = (uv.hrtime() - back) / 1e9
  rest(AFTER)
  producer.kill("sigterm")
  producer.wait(30)
  local produced = cjson.decode(program.read(folder .. "/produced"))
  program.wait("an empty queue", 20, function() return status(folder).outbox.messages == 0 end)
  agent.kill("sigterm")
  agent.wait(20)
  local seen, missing = judge.genuine(judge.read(server), produced.last, 1), 0
  server:stop()
  for _, post in ipairs(produced.accepted) do
    for number = post, post + point.count(post) - 1 do missing = missing + (seen[number] and 0 or 1) end
  end
  out:head(("nsqd down for %d s, %d posts a second"):format(OUTAGE, RATE), "posts answered 200", "otherwise",
    "points lost", "agent's CPU meanwhile, ms", "backlog delivered after, s")
  out:row("agent", ("%d"):format(#produced.accepted), ("%d"):format(produced.lost + produced.passed),
    ("%d"):format(missing), ("%d"):format(cpu), ("%.2f"):format(seconds))
  out:goal("outage: points answered 200 that are lost", "%d", missing, 0)
  out:goal("outage: agent's CPU, ms", "%d", cpu, 1000)
  out:goal("outage: backlog delivered after, s", "%.2f", seconds, 5)
end

return function(out, options)
  publishing(out)
  if uv.fs_access("/usr/bin/wrk", "X") then
    out:head("wrk -t1 -c10", "requests/s", "points delivered/s", "p99, ms", "most RSS, MiB",
      "CPU of the agent, µs each", "refused", "points lost")
    posts(out, options, 1, 20000)
    posts(out, options, 100, 3000)
  else
    out:goal("POST /post: wrk is not here", "%.2f", nil, 0)
  end
  outage(out, options)
end
