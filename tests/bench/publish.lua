-- `agent lua tests/bench/publish.lua PORT TOPIC SECONDS BYTES`: publishes messages of so many bytes as fast as nsqd at
-- that port takes them, the way the agent does: outbox, output, one connection, without the JIT. Prints how many a
-- second.

jit.off()

local timer = require("agent.timer")
local uv = require("luv")

local port, topic, seconds, bytes = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local QUEUED = 4096 -- messages handed over and not acknowledged yet

local quiet = function() end
local log = { info = quiet, warning = error, error = error, debug = quiet }
local clock = require("host.clock")
local output = require("agent.publish.nsq").new({ servers = { "tcp://127.0.0.1:" .. port } },
  { clock = clock, log = log })
local outbox = require("agent.publish.outbox").new({ output = output, max_bytes = 2 ^ 26, max_messages = 2 ^ 16,
  now = clock.mono, after = timer.after, call = require("host").call, log = log })
output.on_room = function() outbox:pump() end

-- Not a points array, so that nothing is joined: nsqd is to get as many messages as bench_writer sends.
local head, body = "head", ("x"):rep(bytes - 4)
local acknowledged, began = 0, nil
local fill_soon

local function acknowledge()
  acknowledged = acknowledged + 1
  fill_soon()
end

fill_soon = timer.soon(function()
  while outbox.messages < QUEUED do outbox:put(topic, head, body, acknowledge) end
  outbox:pump()
end)

local function finish()
  print(("%.0f"):format(acknowledged / (clock.mono() - began)))
  os.exit(0)
end

local ready = uv.new_timer()
ready:start(10, 10, function()
  if not output:room() then return end
  ready:close()
  began = clock.mono()
  fill_soon()
  timer.after(seconds, finish)
end)
uv.run()
