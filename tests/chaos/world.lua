-- The things of one run, and what can be done to them: nsqd in a network of its own at the other end of a cable, the
-- agent with its spool on a small disk, the producer.

local loop = require("loop")
local nsqd = require("nsqd")
local program = require("program")
local sanitizer = require("sanitizer")
local uv = require("luv")

local M = {}
M.__index = M

local FAKETIME = "/usr/lib/%s-linux-gnu/faketime/libfaketimeMT.so.1"
local HERE, THERE = "10.99.0.1", "10.99.0.2"
local RSS_MAX_KB = 32 * 1024
local SAMPLE_SECONDS = 0.2
local NSQD_SECONDS = 3

-- OK of such a nsqd means that the message is in a file: it may be killed. With its defaults OK means its memory, and
-- a nsqd that is killed loses it, which is no fault of the agent.
local DURABLE = { "--mem-queue-size=0", "--sync-every=1", "--max-rdy-count=2500" }

local function sh(command, ...)
  command = command:format(...)
  local log = os.tmpname()
  local status = os.execute(command .. " >" .. log .. " 2>&1")
  local said = program.read(log)
  os.remove(log)
  assert(status == 0, command .. ": " .. said)
end

local function plug(self)
  self.holder = program.spawn("unshare", { "--net", "sleep", "infinity" })
  local ns = ("/proc/%d/ns/net"):format(self.holder.pid)
  program.wait("the other network", 10, function() return uv.fs_readlink(ns) ~= uv.fs_readlink("/proc/self/ns/net") end)
  self.enter = { "nsenter", "--net=" .. ns }
  sh("ip link set lo up && ip link add name here type veth peer name there netns %d", self.holder.pid)
  sh("ip addr add %s/30 dev here && ip link set here up", HERE)
  sh("%s ip link set lo up && %s ip addr add %s/30 dev there && %s ip link set there up", self:there(), self:there(),
    THERE, self:there())
end

--- The words before a command that is to run where nsqd is.
function M:there()
  return table.concat(self.enter, " ")
end

local function faketime()
  if sanitizer.present() then return nil, "a sanitizer does not go with a preloaded library" end
  local path = FAKETIME:format(uv.os_uname().machine)
  if not uv.fs_stat(path) then return nil, "no " .. path .. " (Debian's libfaketime)" end
  return path
end

local function prepare(self, private, why)
  self.lacks = {}
  if private then
    plug(self)
    sh("mount -t tmpfs none /dev/shm && mount -t tmpfs -o size=%d none %s", self.story.disk, self.disk)
    assert(uv.fs_mkdir(self.folder .. "/read-only", 493))
    sh("mount --bind %s %s/read-only && mount -o remount,bind,ro %s/read-only", self.disk, self.folder, self.folder)
  else
    self.lacks.network, self.lacks.disk = why, why
  end
  self.preload, self.lacks.clock = faketime()
  for _, event in ipairs(self.story.events) do
    local needs = self.actions[event.what].needs
    event.skipped = needs and self.lacks[needs]
    self.faked = self.faked or (needs == "clock" and not event.skipped)
  end
end

function M:start_agent()
  local env
  if self.faked then
    env = { "PATH=" .. os.getenv("PATH"), "LD_PRELOAD=" .. self.preload, "FAKETIME_TIMESTAMP_FILE=" .. self.clock_file,
      "FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1" }
  end
  self.agent = program.agent({ "start", "-f", self.folder .. "/agent.lua" }, env)
  self.agents[#self.agents + 1] = self.agent
end

--- Ends the agent; a clean end must be one.
function M:end_agent(signal)
  local agent = self.agent
  self.agent = nil
  agent.kill(signal)
  agent.wait(10)
  if signal == "sigterm" then assert(agent.code == 0, "TERM ended it with " .. agent.code) end
end

--- Everything in place and running, without the producer. `private`: whether this process has namespaces of its own,
--- else `why` not.
function M.new(story, folder, private, why)
  local self = setmetatable({ story = story, folder = folder, disk = folder .. "/disk", agents = {}, enter = {},
    clock_file = folder .. "/clock", most_bytes = 0, most_rss = 0, stall = 0 }, M)
  assert(uv.fs_mkdir(self.disk, 493))
  program.write(self.clock_file, "+0")
  prepare(self, private, why)
  self.server = nsqd.start(DURABLE, nil, { enter = self.enter, address = private and THERE or nil })
  local port = story.protocol == "tcp" and self.server.tcp_port or self.server.http_port
  program.configure(folder, {
    output = { name = "nsq", servers = { ("%s://%s:%d"):format(story.protocol, self.server.address, port) },
      spooldir = self.disk .. "/spool", ack = story.ack, maxmemory = story.maxmemory },
    log = { loglevel = "INFO" },
  })
  local conf = self.folder .. "/agent.lua"
  program.write(conf, (program.read(conf):gsub('%["path"%] = "[^"]*",? ?', "")))
  self:start_agent()
  program.ready(folder, self.agent)
  return self
end

function M:start_producer()
  self.producer = program.agent({ "lua", "tests/chaos/producer.lua", self.folder .. "/agent.sock", "500",
    tostring(self.story.topics), self.folder .. "/produced" })
end

--- What /me/status says; nil while nobody answers.
function M:status()
  local text, code = program.curl(self.folder, "/me/status")
  return code == 200 and require("cjson").decode(text) or nil
end

-- Holds the bounds against what there is just now.
local function sample(self)
  assert(not self.agent or not self.agent.code, "the agent ended by itself")
  assert(not self.producer or not self.producer.code, "the producer ended by itself")
  local status = self.agent and self:status()
  if not status then return end
  self.most_bytes = math.max(self.most_bytes, status.outbox.bytes)
  self.stall = math.max(self.stall, status.stall_ms)
  assert(status.outbox.bytes <= self.story.maxmemory, "outbox over output.maxmemory")
  assert(status.errors == 0, "a room raised an error")
  local rss = tonumber((program.read(("/proc/%d/status"):format(self.agent.pid)) or ""):match("VmHWM:%s*(%d+)"))
  self.most_rss = math.max(self.most_rss, rss or 0)
  assert(sanitizer.present() or self.most_rss <= RSS_MAX_KB, "the agent's RSS was " .. self.most_rss .. " KiB")
end

--- Lets it all run until `at` (uv.hrtime()), looking on.
function M:pass(at)
  local look = uv.hrtime()
  program.wait("time to pass", 60, function()
    local now = uv.hrtime()
    if now >= look then
      look = now + SAMPLE_SECONDS * 1e9
      sample(self)
    end
    return now >= at
  end)
end

local function set_clock(self, sign)
  program.write(self.clock_file .. ".new", sign and sign .. self.story.clock or "+0")
  assert(uv.fs_rename(self.clock_file .. ".new", self.clock_file))
end

local function link(self, device, state)
  sh("%s ip link set %s %s", device == "there" and self:there() or "", device, state)
end

-- A nsqd that is told to end while it starts may never do it; then it is killed, as its supervisor would.
local function stop_nsqd(self)
  local server = self.server
  server.process:kill("sigterm")
  if not pcall(program.wait, "nsqd to end", NSQD_SECONDS, function() return not server.running end) then
    server:halt("sigkill")
  else
    server.process:close()
  end
end

--- By what happens: { begin, heal, needs }.
M.actions = {
  ["nsqd is killed"] = {
    begin = function(self) self.server:halt("sigkill") end,
    heal = function(self) self.server:spawn() end,
  },
  ["nsqd is stopped"] = {
    begin = stop_nsqd,
    heal = function(self) self.server:spawn() end,
  },
  ["nsqd is frozen"] = {
    begin = function(self) self.server.process:kill("sigstop") end,
    heal = function(self) self.server.process:kill("sigcont") end,
  },
  ["the agent is killed"] = {
    begin = function(self) self:end_agent("sigkill") end,
    heal = M.start_agent,
  },
  ["the agent is stopped"] = {
    begin = function(self) self:end_agent("sigterm") end,
    heal = M.start_agent,
  },
  ["the disk is full"] = {
    needs = "disk",
    begin = function(self) os.execute("cat /dev/zero >" .. self.disk .. "/filler 2>/dev/null") end,
    heal = function(self) assert(os.remove(self.disk .. "/filler")) end,
  },
  -- Not remounted, which the kernel refuses as long as a file is open for writing, but covered by the same again.
  ["the disk is read-only"] = {
    needs = "disk",
    begin = function(self) sh("mount --bind %s/read-only %s", self.folder, self.disk) end,
    heal = function(self) sh("umount -l %s", self.disk) end,
  },
  ["the cable is out at the agent"] = {
    needs = "network",
    begin = function(self) link(self, "here", "down") end,
    heal = function(self) link(self, "here", "up") end,
  },
  ["the cable is out at nsqd"] = {
    needs = "network",
    begin = function(self) link(self, "there", "down") end,
    heal = function(self) link(self, "there", "up") end,
  },
  ["the clock is set forward"] = {
    needs = "clock",
    begin = function(self) set_clock(self, "+") end,
    heal = function(self) set_clock(self, nil) end,
  },
  ["the clock is set back"] = {
    needs = "clock",
    begin = function(self) set_clock(self, "-") end,
    heal = function(self) set_clock(self, nil) end,
  },
}

--- Ends what is left, also after a failure.
function M:close()
  for _, name in ipairs({ "producer", "agent", "holder" }) do
    local child = self[name]
    if child then
      child.kill()
      child.wait(10)
    end
  end
  if self.server then
    if self.server.running then
      self.server.process:kill("sigcont")
      self.server:halt("sigkill")
    end
    self.server:stop()
  end
  loop.drain()
end

return M
