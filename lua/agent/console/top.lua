-- `agent top`: what the running agent does, live.

local M = {
  summary = "watch the running agent: items by cost, rates, plugins",
  usage = "agent top [-f CONF] [--socket PATH]",
  details = "Redrawn each 2 s; q ends it. Without a terminal one frame is printed.\n"
    .. "Exit status: 0 ended, 2 no agent can be reached, 64 wrong usage.\n",
}

local EACH = 2 -- seconds
local exit_codes = { sigint = 0, sigterm = 143, sighup = 129, sigquit = 131 }

local Top = {}
Top.__index = Top

local function lines_of(self, width, height)
  local model = self.model
  model.rates, model.longest, model.trouble = self.history:rates(), self.history.longest, self.trouble
  return require("agent.console.view.top").lines(model, width, height)
end

local function draw(self)
  if self.screen then self.screen:draw(lines_of(self, self.screen:size())) end
end

local function finish(self, code)
  if self.screen then self.screen:close() end
  require("host").exit(code)
end

-- Asks once; done(err) when there is something new, or nothing.
local function look(self, done)
  require("agent.console.status").gather(self.client, function(err, model)
    if err then return done(err) end
    self.trouble, self.model = nil, model
    self.history:take(model.status, require("host.clock").mono())
    done()
  end)
end

local function go_on(self)
  require("agent.timer").after(EACH, function()
    look(self, function(err)
      if err then
        self.trouble = err.complaint or require("agent.console.reach").explain(self.client.address, err)
      end
      draw(self)
      go_on(self)
    end)
  end)
end

local function open_screen(self)
  self.screen = require("agent.console.screen").open({
    on_change = function() draw(self) end,
    on_key = function(key)
      if key == "q" or key == "Q" then finish(self, 0) end
    end,
    on_signal = function(name) finish(self, exit_codes[name] or 1) end,
  })
  draw(self)
  go_on(self)
end

function M.run(args)
  local reach = require("agent.console.reach")
  return reach.run(M, args, function(client, _, unreachable)
    local self = setmetatable({ client = client, history = require("agent.console.history").new() }, Top)
    look(self, function(err)
      if err and err.complaint then return reach.fail("top", err.complaint) end
      if err then return unreachable(err) end
      if require("agent.console.screen").possible() then return open_screen(self) end
      io.stdout:write(table.concat(lines_of(self, reach.columns()), "\n"), "\n")
      finish(self, 0)
    end)
  end)
end

return M
