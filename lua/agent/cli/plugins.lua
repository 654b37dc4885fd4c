-- Wires the plugin room into the running agent. It is made with the first PLUGIN item: most machines have none.

local clock = require("host.clock")
local log = require("host.log")
local timer = require("agent.timer")

local M = {}
M.__index = M

-- agent: see assemble.lua (conf, scheduler); outcome(agent) gives the agent's agent.outcome.
function M.new(agent, outcome)
  return setmetatable({ agent = agent, outcome = outcome }, M)
end

local function make_room(agent, outcome)
  local run = require("agent.worker.client").run
  local room
  room = require("agent.plugin").new({
    conf = agent.conf, scheduler = agent.scheduler, outcome = outcome(agent),
    exec = require("host.exec"), worker = run,
    checkout = require("agent.plugin.checkout").new({
      conf = agent.conf.agent, run = run, log = log, owner = function() return room.owner end,
    }),
    read = function(...) return require("agent.plugin.output").read(...) end,
    after = timer.after, later = function(fn) timer.after(0.001, fn) end, wall = clock.wall, log = log,
  })
  return room
end

--- Takes over the PLUGIN records among these.
function M:apply(records)
  if not self.room then
    local found
    for _, record in ipairs(records) do found = found or record.type == "PLUGIN" end
    if not found then return end
    self.room = make_room(self.agent, self.outcome)
  end
  self.room:apply(records)
end

--- For /me/status; nil where there are none.
function M:status()
  return self.room and self.room:status()
end

--- For the control API, see lua/agent/http/plugins.lua.
function M:control()
  local function handed_on(name)
    return function(...) return self.room[name](self.room, ...) end
  end
  return {
    list = function() return self.room and self.room:list() or {} end,
    find = function(...) return self.room and self.room:find(...) or nil end,
    update = handed_on("update"), call = handed_on("call"),
    disable = handed_on("disable"), enable = handed_on("enable"),
  }
end

--- Ends what runs; callback() when nothing does.
function M:close(callback)
  if not self.room then return callback() end
  self.room:close(callback)
end

return M
