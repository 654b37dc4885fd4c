-- A command's module by its name.

-- These speak to a running agent.
local console = { plugins = true, status = true, tail = true, top = true, update = true }

---@param name string one of the names in agent.cli
---@return { summary: string, usage: string, run: function }
return function(name)
  return require((console[name] and "agent.console." or "agent.cli.") .. name)
end
