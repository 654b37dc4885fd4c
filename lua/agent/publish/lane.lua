-- One way out: an output with its outbox in memory and its spool on disk. What is on disk, and the code for it, is
-- touched only when the output fails, when memory gets short, or when something was left there.

local uv = require("luv")

local M = {}
M.__index = M

local function open_spool(self)
  local options, conf = self.options, self.conf
  self.spool = require("agent.publish.spool").new({
    directory = conf.spooldir, max_bytes = conf.spoolsize, max_age = conf.spoolage, disk = options.disk(),
    now = options.clock.mono, wall = options.clock.wall, log = options.log,
    dropped = function(reason, messages) self.outbox:drop(reason, messages, conf.spooldir) end,
  })
  self.draining = require("agent.publish.drain").new({ spool = self.spool, outbox = self.outbox,
    now = options.clock.mono, after = options.after })
end

local function spill(self, batch, done)
  if self.closed then return false end
  if not self.spool then open_spool(self) end
  if not self.spool:usable() then return false end
  self.spool:write(batch, done)
  return true
end

-- What an earlier life left on disk.
local function look_for_backlog(self)
  self.options.disk():run(function(answered) uv.fs_scandir(self.conf.spooldir .. "/new", answered) end,
    function(err, found)
      if err or self.closed or not uv.fs_scandir_next(found) then return end
      if not self.spool then open_spool(self) end
      self.draining:kick()
    end)
end

local function go_on(self)
  if self.output.failing then self.outbox:wake() end
  self.outbox:pump()
  if self.draining then self.draining:kick() end
end

--- conf: conf.output or one of conf.output.also. options: clock (mono, wall), after, call, log, disk () → disk.lua of
--- all lanes.
function M.new(conf, options)
  local output = assert(require("agent.publish." .. conf.name).new(conf, {
    clock = options.clock, log = options.log, ack_ms = conf.ack * 1000,
  }))
  local self = setmetatable({ name = conf.name, required = conf.required ~= false, conf = conf, options = options,
    output = output }, M)
  local spooled = (conf.spoolsize or 0) > 0
  self.outbox = require("agent.publish.outbox").new({
    output = output, max_bytes = conf.maxmemory, max_messages = conf.buffersize, patience = conf.ack,
    spill = spooled and function(batch, done) return spill(self, batch, done) end or nil,
    now = options.clock.mono, after = options.after, call = options.call, log = options.log,
  })
  output.on_room = function() go_on(self) end
  self.outbox.on_spilled = function() self.draining:kick() end
  if spooled then look_for_backlog(self) end
  return self
end

-- Waits until nothing is on its way to the spool, or so long.
local function wait_for_spool(self, seconds, callback)
  local timer
  local function finish()
    if not timer then return end
    timer:cancel()
    timer, self.outbox.on_spilled = nil, nil
    callback()
  end
  timer = self.options.after(seconds, finish)
  self.outbox.on_spilled = function()
    if self.outbox.spilling == 0 then finish() end
  end
  self.outbox.on_spilled()
end

--- Gives the output some of the `seconds` to acknowledge what is there; the rest goes to the spool. callback(messages
--- that are in neither).
function M:close(seconds, callback)
  if self.draining then self.draining:close() end
  self.outbox:drain(seconds * 0.6, function()
    self.output:close(function()
      self.outbox:flush()
      wait_for_spool(self, seconds * 0.4, function()
        self.closed = true
        local left = self.outbox.messages
        if not self.spool then return callback(left) end
        local kept = self.spool:status()
        if kept.files > 0 then
          self.options.log.info("spool", "messages wait on disk for the next start", { output = self.name,
            directory = kept.directory, bytes = kept.bytes })
        end
        self.spool:close(function() callback(left) end)
      end)
    end)
  end)
end

--- For metrics; `spool` is there once it has been used.
function M:counters()
  local status = self.outbox:status()
  status.output, status.points_dropped = self.name, self.output.dropped_points
  status.spool = self.spool and self.spool:status()
  return status
end

--- For /me/status.
function M:status()
  return { required = self.required, outbox = self.outbox:status(), output = self.output:status(),
    spool = self.spool and self.spool:status() }
end

return M
