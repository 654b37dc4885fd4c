-- `agent lua FILE ARGS…`: runs a Lua file inside the host, with every binding at hand.

local M = {
  summary = "run a Lua file with the agent's bindings",
  usage = "agent lua FILE [ARGS…]",
}

function M.run(args)
  local file = args[1]
  if not file then
    io.stderr:write("usage: " .. M.usage .. "\n")
    return 64
  end
  jit.on()
  local chunk, why = loadfile(file)
  if not chunk then
    io.stderr:write("agent lua: " .. why .. "\n")
    return 1
  end
  _G.arg = { [0] = file, unpack(args, 2) }
  local code = chunk(unpack(args, 2))
  if type(code) == "number" then return code end
  require("luv").run()
  return 0
end

return M
