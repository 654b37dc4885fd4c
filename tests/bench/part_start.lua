-- From the start of the process to the first message in nsqd, as nsqd's own statistics tell it.

local median = require("report").median
local nsqd_server = require("nsqd")
local program = require("program")
local programs = require("programs")
local uv = require("luv")

local ROUNDS = 10

-- Asks /stats again and again over one connection; seen() is true once a topic holds a message.
local function watch(port)
  local tcp, input, seen = uv.new_tcp(), "", false
  local ask = "GET /stats?format=json HTTP/1.1\r\nHost: localhost\r\n\r\n"
  tcp:connect("127.0.0.1", port, function(err)
    assert(not err, err)
    tcp:read_start(function(_, chunk)
      input = input .. (chunk or "")
      local head, length = input:match("^(.-\r\n\r\n)"), tonumber(input:match("Content%-Length: (%d+)"))
      if not head or not length or #input < #head + length then return end
      seen = seen or input:find('"message_count":[1-9]') ~= nil
      input = ""
      if not seen then tcp:write(ask) end
    end)
    tcp:write(ask)
  end)
  return function() return seen end, function() tcp:close() end
end

return function(out, options)
  if nsqd_server.missing() then return out:goal("start to first message in nsqd, ms", "%.0f", nil, 200) end
  local times = {}
  for round = 1, ROUNDS do
    local nsqd = nsqd_server.start()
    local folder = options.folder .. "/start" .. round
    local agent = programs.agent("agent", folder, nsqd, 1, "start")
    local seen, close = watch(nsqd.http_port)
    local began = uv.hrtime()
    local child = program.spawn(agent.path, agent.args)
    program.wait("a message in nsqd\n" .. child.output, 30, function()
      assert(not child.code, child.output)
      return seen()
    end)
    times[round] = (uv.hrtime() - began) / 1e6
    out:sample("start_ms", round, times[round])
    close()
    child.kill("sigterm")
    child.wait(10)
    nsqd:stop()
  end
  out:goal("start to first message in nsqd, ms (median of 10)", "%.0f", median(times), 200)
end
