-- `agent COMMAND …`: finds the command's module and runs it. A command is a module agent.cli.NAME
-- that returns { summary = "…", usage = "…", run = function(args) → exit code, or nil to run the loop }.

local commands = { "lua", "version" }

local function help()
  io.stdout:write("usage: agent COMMAND [ARGS…]\n\n")
  for _, name in ipairs(commands) do
    local command = require("agent.cli." .. name)
    io.stdout:write(("  %-9s %s\n"):format(name, command.summary))
  end
end

--- argv: the process' arguments, [0] its name. Returns an exit code, or nil: the loop goes on.
local function main(argv)
  local name = argv[1]
  if name == "worker" then -- for agent.worker.client, not for people: help doesn't show it
    return require("agent.cli.worker").run({ unpack(argv, 2) })
  end
  for _, known in ipairs(commands) do
    if known == name then
      return require("agent.cli." .. name).run({ unpack(argv, 2) }, argv)
    end
  end
  help()
  return name and 64 or 0
end

return main
