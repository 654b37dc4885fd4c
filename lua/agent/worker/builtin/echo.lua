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

-- One question to each address; every(host, seconds) for each answer. Returns forget().
local function ask_each(addresses, why, every)
  local asked = {}
  for host, address in pairs(addresses) do
    local seq = free_number()
    local sent, wrong = nil, "65536 questions are under way already"
    if seq then
      asked[seq] = function(seconds) every(host, seconds) end
      waiting[seq] = asked[seq]
      sent, wrong = sockets:send(address, seq)
    end
    if not sent then
      if seq then waiting[seq] = nil end
      why[host] = ("%s: %s"):format(host, wrong)
      every(host, nil)
    end
  end
  return function()
    for seq, fn in pairs(asked) do
      if waiting[seq] == fn then waiting[seq] = nil end
    end
  end
end

--- ctx.ping of several addresses at the same time: { [address] = seconds }, { [address] = why there is no answer }.
function M.ask_all(addresses, options)
  if not sockets then return nil, "no right to send ICMP: " .. tostring(refused), "EPERM" end
  local seconds = options and options.timeout or 5
  local set, left, found, why = {}, 0, {}, {}
  for _, address in ipairs(addresses) do
    if not set[address] then set[address], left = address, left + 1 end
  end
  if left == 0 then return found, why end
  run.await("answers", seconds, function(answer)
    return ask_each(set, why, function(host, took)
      found[host] = took
      left = left - 1
      if left == 0 then answer(true) end
    end)
  end)
  for address in pairs(set) do
    if not found[address] then why[address] = why[address] or ("%s: no answer within %g s"):format(address, seconds) end
  end
  return found, why
end

return M
