-- `agent help`: the commands in a line each, or the usage of one.

local M = { summary = "list the commands, or show one's usage", usage = "agent help [COMMAND]" }

local function list(commands)
  io.stdout:write("usage: agent COMMAND [ARGS…]\n\n")
  for _, name in ipairs(commands) do
    io.stdout:write(("  %-9s %s\n"):format(name, require("agent.cli.command")(name).summary))
  end
  io.stdout:write("\nagent help COMMAND shows its usage.\n")
  return 0
end

--- commands: the names of all commands, in the order shown.
function M.run(args, commands)
  local options, code = require("agent.cli.options").parse(M, args)
  if not options then return code end
  local wanted = options.command
  if not wanted then return list(commands) end
  for _, name in ipairs(commands) do
    if name == wanted then
      local command = require("agent.cli.command")(name)
      io.stdout:write(("%s: %s\nusage: %s\n"):format(name, command.summary, command.usage))
      if command.details then io.stdout:write("\n", command.details) end
      return 0
    end
  end
  io.stderr:write(("agent help: unknown command %s\n"):format(wanted))
  return 64
end

return M
