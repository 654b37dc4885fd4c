-- `agent check`: says whether a configuration is valid, and everything that is wrong with it.

local M = {
  summary = "check a configuration, and the registry file it names",
  usage = "agent check [-f CONF] [--docs]",
  details = "Exit status: 0 valid (warnings are allowed), 1 not valid, 64 wrong usage.\n"
    .. "--docs prints docs/config.md instead.\n",
}

local function show(stream, path, problem, prefix)
  stream:write(("%s: %s%s\n"):format(require("agent.config").where(path, problem), prefix or "", problem.message))
end

local function check_registry(address, done)
  local path = address:match("^file:(.+)$")
  if not path then return done(true) end
  require("agent.luafile").load(path, function(err, data, lines)
    if err then
      require("agent.config").show(io.stdout, path, err)
      return done(false)
    end
    local problems = require("agent.registry.items").problems(data, lines, require("agent.luafile").join)
    for _, problem in ipairs(problems) do show(io.stdout, path, problem) end
    done(#problems == 0)
  end)
end

function M.run(args)
  local options, code = require("agent.cli.options").parse(M, args)
  if not options then return code end
  if options.docs then
    io.stdout:write(require("agent.config.docs").markdown())
    return 0
  end
  local host, path = require("host"), options.f
  require("agent.config").load(path, function(err, conf, warnings)
    if err then
      require("agent.config").show(io.stdout, path, err)
      return host.exit(1)
    end
    for _, warning in ipairs(warnings) do show(io.stdout, path, warning, "warning: ") end
    check_registry(conf.agent.registryaddr, function(valid)
      if valid then io.stdout:write(path, ": valid\n") end
      host.exit(valid and 0 or 1)
    end)
  end)
end

return M
