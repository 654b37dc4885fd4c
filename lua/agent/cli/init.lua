-- `agent COMMAND …`: finds the command's module (command.lua) and runs it. A command is a module
-- that returns { summary = "…", usage = "…", run = function(args, commands) → exit code, or nil: the loop
-- runs on }.

local commands = { "start", "stop", "check", "once", "status", "plugins", "update", "tail", "top", "builtin", "spool",
  "version", "lua", "help" }
local other_names = { h = "help", ["-h"] = "help", ["--help"] = "help", ["-help"] = "help",
  ["-v"] = "version", ["--version"] = "version", ["-version"] = "version" }

--- argv: the process' arguments, [0] its name. Returns an exit code, or nil: the loop goes on.
local function main(argv)
  local name = argv[1]
  if name == "worker" then -- for agent.worker.client, not for people: help doesn't show it
    return require("agent.cli.worker").run({ unpack(argv, 2) })
  end
  name = other_names[name] or name
  for _, known in ipairs(commands) do
    if known == name then return require("agent.cli.command")(name).run({ unpack(argv, 2) }, commands) end
  end
  if not name then return require("agent.cli.help").run({}, commands) end
  io.stderr:write(("agent: unknown command %s; `agent help` lists them\n"):format(name))
  return 64 -- EX_USAGE of sysexits.h
end

return main
