-- `agent update`: has the running agent read its configuration and ask the registry, and shows what that changed.

local M = {
  summary = "read configuration and registry again, and show what changed",
  usage = "agent update [-f CONF] [--socket PATH] [--json]",
  details = "+ added, ~ changed, - removed, refused with the reason. --json shows the agent's own answer.\n"
    .. "Exit status: 0 updated, 1 not, 2 no agent can be reached, 64 wrong usage.\n",
}

local LONGEST = 120 -- seconds

local function show(options, change, body)
  local text = require("agent.console.text")
  if options.json then return io.stdout:write(text.clean_json(body), "\n") end
  local lines = require("agent.console.view.update").lines(change, nil)
  io.stdout:write(table.concat(lines, "\n"), "\n")
end

function M.run(args)
  local reach = require("agent.console.reach")
  return reach.run(M, args, function(client, options, unreachable)
    client:ask_patiently({ method = "POST", target = "/update", deadline = LONGEST }, function(err, answer)
      if err then return unreachable(err) end
      local change = require("agent.console.decode")(answer.body)
      if type(change) ~= "table" or not (change.added or change.error) then
        return reach.fail("update", reach.complaint(answer))
      end
      show(options, change, answer.body)
      require("host").exit((answer.status == 200 and not change.error) and reach.OK or reach.FAILED)
    end)
  end)
end

return M
