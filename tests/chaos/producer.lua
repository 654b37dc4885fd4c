-- The producer, a process of its own: `agent lua producer.lua SOCKET RATE TOPICS REPORT` posts RATE times a second over
-- keep-alive connections until SIGTERM, and then writes to REPORT what it was answered:
-- { last = highest number sent, accepted = { number of each post answered with 200 … }, answers = { [status] = n },
-- longest_ms = of an answer with 200, lost = n (connections that broke before the answer), passed = n (times that
-- there was no connection left) }.

package.path = "./tests/chaos/?.lua;" .. package.path

local cjson = require("cjson")
local point = require("point")
local uv = require("luv")

local path, rate, topics, report = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4]
local CONNECTIONS, TICK_MS, RETRY_MS, PATIENCE_MS = 100, 10, 50, 20000

local result = { last = 0, accepted = {}, answers = {}, longest_ms = 0, lost = 0, passed = 0 }
local idle, busy, number, stopping = {}, 0, 1, false

local function finish()
  local answers = {}
  for status, n in pairs(result.answers) do answers[tostring(status)] = n end
  result.answers, result.last = answers, number - 1
  local file = assert(io.open(report, "w"))
  file:write(cjson.encode(result))
  file:close()
  os.exit(0)
end

local function post(slot)
  slot.post, slot.input, slot.since = number, "", uv.hrtime()
  number = number + point.count(number)
  busy = busy + 1
  local body = point.body(slot.post)
  slot.pipe:write(("POST /post?ns=%s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s"):format(
    point.ns(slot.post, topics), #body, body))
end

local function answered(slot, status)
  busy = busy - 1
  result.answers[status] = (result.answers[status] or 0) + 1
  if status == 200 then
    table.insert(result.accepted, slot.post)
    result.longest_ms = math.max(result.longest_ms, (uv.hrtime() - slot.since) / 1e6)
  end
  slot.post = nil
  idle[#idle + 1] = slot
  if stopping and busy == 0 then finish() end
end

local connect

local function lost(slot)
  if not slot.pipe then return end
  slot.pipe:close()
  slot.pipe = nil
  if slot.post then
    busy, slot.post = busy - 1, nil
    result.lost = result.lost + 1
  end
  if stopping then return busy == 0 and finish() end
  local timer = uv.new_timer()
  timer:start(RETRY_MS, 0, function()
    timer:close()
    connect(slot)
  end)
end

function connect(slot)
  slot.pipe = uv.new_pipe(false)
  slot.pipe:connect(path, function(err)
    if err then return lost(slot) end
    idle[#idle + 1] = slot
    slot.pipe:read_start(function(_, chunk)
      if not chunk then return lost(slot) end
      slot.input = (slot.input or "") .. chunk
      local status, length, at = slot.input:match("^HTTP/1.1 (%d+) .-Content%-Length: (%d+).-\r\n\r\n()")
      if status and #slot.input >= at - 1 + tonumber(length) then answered(slot, tonumber(status)) end
    end)
  end)
end

local function take_idle()
  while true do
    local slot = table.remove(idle)
    if not slot or slot.pipe then return slot end
  end
end

for _ = 1, CONNECTIONS do connect({}) end
local began, due = uv.hrtime(), 0
local timer, signal = uv.new_timer(), uv.new_signal()
timer:start(TICK_MS, TICK_MS, function()
  local now = (uv.hrtime() - began) / 1e9 * rate
  while due < now do
    due = due + 1
    local slot = take_idle()
    if slot then post(slot) else result.passed = result.passed + 1 end
  end
end)
signal:start("sigterm", function()
  stopping = true
  timer:close()
  if busy == 0 then finish() end
  uv.new_timer():start(PATIENCE_MS, 0, finish)
end)
uv.run()
