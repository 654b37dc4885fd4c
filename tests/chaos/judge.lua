-- After a run: what must hold. Each function raises what doesn't.

local cjson = require("cjson")
local point = require("point")
local program = require("program")
local uv = require("luv")

local M = {}

local QUIET_SECONDS = 0.3
local LINKS_MAX = 4 -- connections to nsqd

local function files(directory)
  local count, found = 0, uv.fs_scandir(directory)
  while found and uv.fs_scandir_next(found) do count = count + 1 end
  return count
end

--- Waits until nothing is on its way, in memory or on disk.
function M.empty(world)
  local last
  local ok = pcall(program.wait, "an empty queue and spool", 60, function()
    last = world:status() or last
    -- An agent whose disk failed at the start does not know yet what is there.
    return last and last.outbox.messages == 0 and (not last.spool or last.spool.files == 0)
      and files(world.disk .. "/spool/new") == 0
  end)
  assert(ok, "queue and spool don't get empty: " .. cjson.encode({ outbox = last.outbox, spool = last.spool,
    output = last.output }))
  for reason in pairs(last.outbox.dropped) do assert(reason == "full", "messages were dropped: " .. reason) end
  assert(last.errors == 0, "a room raised an error")
end

--- Nothing waits in the spool's directory.
function M.clean(world)
  for _, part in ipairs({ "new", "tmp" }) do
    assert(files(world.disk .. "/spool/" .. part) == 0, "files are left in the spool: " .. part)
  end
  world.torn = files(world.disk .. "/spool/bad")
end

-- How many descriptors of each kind a process has. Files of the kernel don't count: collectors keep those they
-- have read once.
local function descriptors(pid)
  local found, folder = {}, ("/proc/%d/fd"):format(pid)
  local scan = assert(uv.fs_scandir(folder))
  for name in function() return uv.fs_scandir_next(scan) end do
    local target = (uv.fs_readlink(folder .. "/" .. name) or "gone"):gsub("%d+", "")
    if not target:find("^/proc/") and not target:find("^/sys/") then found[target] = (found[target] or 0) + 1 end
  end
  return found
end
M.descriptors = descriptors

-- What may come besides what an agent has that has just started: the spool's lock, connections to nsqd.
local function allowed(target)
  return target:find("/spool/lock", 1, true) and 1 or target == "socket:[]" and LINKS_MAX or 0
end

--- The agent's descriptors are again what they were.
function M.no_more_descriptors(before, pid)
  local leak
  local ok = pcall(program.wait, "descriptors to be closed", 10, function()
    leak = nil
    for target, count in pairs(descriptors(pid)) do
      local more = count - (before[target] or 0) - allowed(target)
      if more > 0 then leak = ("%d descriptors more of %s"):format(more, target) end
    end
    return not leak
  end)
  assert(ok, leak)
end

--- No process is there but those of these pids; only where the run has processes to itself.
function M.no_processes(pids)
  local known, left = {}, nil
  for _, pid in ipairs(pids) do known[pid] = true end
  local ok = pcall(program.wait, "processes to end", 10, function()
    left = {}
    local scan = uv.fs_scandir("/proc")
    for name in function() return uv.fs_scandir_next(scan) end do
      local pid = tonumber(name)
      local stat = pid and not known[pid] and program.read("/proc/" .. name .. "/stat")
      if stat and not stat:find(") Z ", 1, true) then left[#left + 1] = stat:match("^[^)]*%)") end
    end
    return #left == 0
  end)
  assert(ok, "processes are left: " .. table.concat(left, ", "))
end

-- /stats of nsqd: its topics, and how much it has yet to hand out.
local function stats(server)
  local text = require("http_get")(("http://%s:%d/stats?format=json"):format(server.address, server.http_port))
  local topics, waiting = {}, 0
  for i, topic in ipairs(cjson.decode(text).topics) do
    topics[i] = topic.topic_name
    waiting = waiting + topic.depth
    for _, channel in ipairs(topic.channels) do
      waiting = waiting + channel.depth + channel.in_flight_count + channel.deferred_count
    end
  end
  return topics, waiting
end

--- All messages of all topics: an array of { topic, bytes }.
function M.read(server)
  local messages, readers, last = {}, {}, uv.hrtime()
  for i, topic in ipairs((stats(server))) do
    readers[i] = server:subscribe(topic, function(bytes)
      messages[#messages + 1] = { topic, bytes }
      last = uv.hrtime()
    end)
  end
  program.wait("all messages", 60, function()
    if uv.hrtime() - last < QUIET_SECONDS * 1e9 then return false end
    local _, waiting = stats(server)
    return waiting == 0
  end)
  for _, reader in ipairs(readers) do reader:close() end
  uv.run("nowait")
  return messages
end

--- Nothing has arrived that was not sent: returns how often each number did.
function M.genuine(messages, last, topics)
  local seen = {}
  for _, message in ipairs(messages) do
    local topic, decoded = message[1], cjson.decode(message[2])
    assert(decoded.database == topic, "a message for another database")
    for _, one in ipairs(decoded.points) do
      if topic:find("^collect%.chaos") then
        local wrong = point.wrong(one, topic, topics)
        assert(not wrong, wrong)
        local number = one.fields.value
        assert(number <= last, "a number that nobody sent")
        seen[number] = (seen[number] or 0) + 1
      else
        assert(not one.measurement:find("^RUN%."), "a posted point in the topic of the agent's own")
      end
    end
  end
  return seen
end

--- What was answered with 200 has arrived. Returns how many points arrived again.
function M.complete(accepted, seen)
  local missing, again = {}, 0
  for _, post in ipairs(accepted) do
    for number = post, post + point.count(post) - 1 do
      if not seen[number] then missing[#missing + 1] = number end
    end
  end
  for _, times in pairs(seen) do again = again + times - 1 end
  assert(#missing == 0, ("%d points that were answered with 200 are lost: %s"):format(#missing,
    table.concat(missing, " ", 1, math.min(20, #missing))))
  return again
end

return M
