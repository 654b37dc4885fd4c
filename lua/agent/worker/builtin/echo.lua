-- ICMP echo for runs. The sockets are opened, and the right to open any is given up, before a function runs.

local resolve = require("agent.worker.builtin.resolve")
local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local sockets, refused
local waiting, last = {}, 0 -- by number of the question

local function follow(family)
  local fd = sockets:fd(family)
  if not fd then return end
  uv.new_poll(fd):start("r", function()
    for seq, seconds in function() return sockets:receive(family) end do
      local answer = waiting[seq]
      waiting[seq] = nil
      if answer then answer(seconds) end
    end
  end)
end

--- Once per process, before anything foreign runs.
function M.open()
  sockets, refused = require("host.ping").open()
  if not sockets then return end
  follow(4)
  follow(6)
end

local function free_number()
  for _ = 1, 65536 do
    last = (last + 1) % 65536
    if not waiting[last] then return last end
  end
end

--- ctx.ping: one question to a name or address; the seconds until the answer; nil, message, code.
function M.ask(host, options)
  if not sockets then return nil, "no right to send ICMP: " .. tostring(refused), "EPERM" end
  local seconds = options and options.timeout or 5
  local list, why, code = resolve.addresses(host, seconds)
  if not list then return nil, why, code end
  local seq = free_number()
  if not seq then return nil, "65536 questions are under way already", "busy" end
  return run.await("an answer of " .. host, seconds, function(answer)
    waiting[seq] = answer
    local sent, wrong, kind = sockets:send(list[1], seq)
    if not sent then
      waiting[seq] = nil
      answer(nil, ("%s: %s"):format(host, wrong), kind)
    end
    return function() waiting[seq] = nil end
  end)
end

return M
