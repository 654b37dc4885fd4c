-- One run: `agent lua tests/chaos/seed.lua SEED SECONDS FOLDER PRIVATE WHY`. Tells its story and how it ended; exit
-- code 0 only when everything held. See main.lua, which starts it where it can do no harm.

package.path = "./tests/chaos/?.lua;./tests/lib/?.lua;" .. package.path

local cjson = require("cjson")
local judge = require("judge")
local program = require("program")
local story = require("story")
local uv = require("luv")
local world = require("world")

local SETTLE_SECONDS = 0.5

-- Beginnings and ends of what happens, in their order.
local function steps(events, actions)
  local list = {}
  for _, event in ipairs(events) do
    if not event.skipped then
      local action = actions[event.what]
      list[#list + 1] = { at = event.at, act = action.begin }
      list[#list + 1] = { at = event.at + event.lasts, act = action.heal }
    end
  end
  table.sort(list, function(a, b) return a.at < b.at end)
  return list
end

local function play(here, told)
  local began = uv.hrtime()
  for _, step in ipairs(steps(told.events, here.actions)) do
    here:pass(began + step.at * 1e9)
    step.act(here)
  end
  here:pass(began + (told.seconds + SETTLE_SECONDS) * 1e9)
end

local function stop_producer(here)
  local producer = here.producer
  here.producer = nil
  producer.kill("sigterm")
  producer.wait(30)
  local report = program.read(here.folder .. "/produced")
  assert(report, "no report of the producer: " .. producer.output)
  return cjson.decode(report)
end

local function run(here, told, private)
  local before = judge.descriptors(here.agent.pid)
  here:start_producer()
  play(here, told)
  local produced = stop_producer(here)
  judge.empty(here)
  judge.no_more_descriptors(before, here.agent.pid)
  here:end_agent("sigterm")
  judge.clean(here)
  if private then judge.no_processes({ 1, here.server.process:get_pid(), here.holder.pid }) end
  local seen = judge.genuine(judge.read(here.server), produced.last, told.topics)
  return produced, judge.complete(produced.accepted, seen)
end

local function answers_of(produced)
  local list = {}
  for status, times in pairs(produced.answers) do list[#list + 1] = status .. ": " .. times end
  table.sort(list)
  return table.concat(list, ", ")
end

local function main(seed, seconds, folder, private, why)
  local told, began = story.make(seed, seconds), uv.hrtime()
  local here
  local ok, err = xpcall(function()
    here = world.new(told, folder, private, why)
    print(story.tell(told))
    local produced, again = run(here, told, private)
    print(("ok in %.1f s: answers %s; %d connections lost, %d points twice, %d files torn; at most %d KiB in memory, "
      .. "RSS %.1f MiB, stall %d ms, answer %d ms"):format((uv.hrtime() - began) / 1e9, answers_of(produced),
      produced.lost, again, here.torn, here.most_bytes / 1024, here.most_rss / 1024, here.stall, produced.longest_ms))
  end, debug.traceback)
  if here then pcall(here.close, here) end
  if ok then return 0 end
  print("FAILED: " .. tostring(err))
  for i, agent in ipairs(here and here.agents or {}) do
    print(("agent %d said:\n%s"):format(i, agent.output:gsub("[^\n]* http: change [^\n]*\n", ""):sub(-4000)))
  end
  return 1
end

io.stdout:setvbuf("line")
os.exit(main(tonumber(arg[1]), tonumber(arg[2]), arg[3], arg[4] == "yes", arg[5]))
