-- `agent worker NAME`: what agent.worker.client starts; of no use by hand, so help doesn't show it.

local M = { summary = "run a worker (internal)", usage = "agent worker NAME" }

function M.run(args)
  local name = args[1]
  if not name or not name:find("^[a-z_]+$") then
    io.stderr:write("usage: " .. M.usage .. "\n")
    return 64
  end
  require("agent.worker.modules").enable()
  return require("agent.worker.main").serve(name)
end

return M
