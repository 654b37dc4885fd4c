-- What `agent builtin new NAME` writes.

local M = {}

local FUNCTION = [[
-- NAME: what it measures, in one sentence.
--
--   agent builtin run NAME                         runs it once and prints what it gave
--   agent builtin run NAME --params '{"port": 22}'
--   agent lua NAME_spec.lua                        checks it
--
-- What ctx can do: docs/builtins.md, lua/agent/_meta/ctx.lua.

return {
  description = "whether something listens, and how long connecting takes",
  params = {
    host = { type = "string", default = "127.0.0.1", description = "name or address" },
    port = { type = "number", required = true, description = "of TCP" },
  },
  interval = 30, -- seconds, where the item doesn't say
  run = function(params, ctx)
    local began = ctx.mono()
    -- Waiting is written as if nothing else went on; what could not be done is nil, message, code.
    local conn, why = ctx.tcp(params.host, params.port, { timeout = 3 })
    if not conn then
      ctx.log("debug", why)
      return { up = 0 }
    end
    local seconds = ctx.mono() - began
    -- ctx.state is kept between runs; ctx.rate("key", counter) makes a counter a rate.
    ctx.state.runs = (ctx.state.runs or 0) + 1
    -- A table name = value, or a list of { name =, value =, tags = { } }. `return nil, "why"` is a failed run.
    return {
      up = 1,
      { name = "connect.seconds", value = seconds, tags = { port = tostring(params.port) } },
    }
  end,
}
]]

local SPEC = [[
-- Checks NAME.lua as the agent would run it: agent lua NAME_spec.lua
local try = require("agent.builtin.try")
local here = { arg[0]:match("^(.*)/") or require("luv").cwd() }

local outcome = try.run("NAME", { directories = here, params = { port = 1 } })[1]
assert(outcome.status == 0, outcome.reason)
assert(try.value(outcome, "up") == 0, "nobody listens on port 1")

outcome = try.run("NAME", { directories = here, params = {} })[1]
assert(outcome.status == 1 and outcome.reason == "params.port is missing")

print("NAME: good")
return 0
]]

--- The texts of NAME.lua and NAME_spec.lua.
function M.of(name)
  return (FUNCTION:gsub("NAME", name)), (SPEC:gsub("NAME", name))
end

return M
