-- `agent status`: how the running agent does, on one screen.

local M = {
  summary = "show how the running agent does",
  usage = "agent status [-f CONF] [--socket PATH] [--json]",
  details = "--json shows the agent's own answer (/me/status).\n"
    .. "Exit status: 0 healthy, 1 not, 2 no agent can be reached, 64 wrong usage.\n",
}

-- Asks for each target in turn; done(err, { [target] = { status, body } }).
local function ask_all(client, targets, done)
  local answers = {}
  local function next_one(i)
    if not targets[i] then return done(nil, answers) end
    client:ask({ target = targets[i] }, function(err, answer)
      if err then return done(err) end
      answers[targets[i]] = answer
      next_one(i + 1)
    end)
  end
  next_one(1)
end

--- Gathers what the screen shows; done(err, model) (see view/status.lua), err of client:ask() or { complaint = }.
function M.gather(client, done)
  local decode, health = require("agent.console.decode"), require("agent.console.health")
  ask_all(client, { "/me/status", "/healthz", "/plugins/list" }, function(err, answers)
    if err then return done(err) end
    local status = decode(answers["/me/status"].body)
    if answers["/me/status"].status ~= 200 or type(status) ~= "table" then
      return done({ complaint = require("agent.console.reach").complaint(answers["/me/status"]) })
    end
    local healthz, plugins = answers["/healthz"], answers["/plugins/list"]
    local list = plugins.status == 200 and decode(plugins.body)
    done(nil, {
      status = status, text = answers["/me/status"].body, plugins = type(list) == "table" and list or nil,
      health = health.told(healthz.status, decode(healthz.body)) or health.derive(status),
    })
  end)
end

function M.run(args)
  local reach = require("agent.console.reach")
  return reach.run(M, args, function(client, options, unreachable)
    M.gather(client, function(err, model)
      if err and err.complaint then return reach.fail("status", err.complaint) end
      if err then return unreachable(err) end
      if options.json then
        io.stdout:write(require("agent.console.text").clean_json(model.text), "\n")
      else
        local lines = require("agent.console.view.status").lines(model, reach.columns())
        io.stdout:write(table.concat(lines, "\n"), "\n")
      end
      require("host").exit(model.health.healthy and reach.OK or reach.FAILED)
    end)
  end)
end

return M
