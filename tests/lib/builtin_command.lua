-- `agent builtin run` as a child of a test, also within namespaces of its own, where only root can.

local cjson = require("cjson")
local program = require("program")
local uv = require("luv")

local M = {}

--- Runs the builtin function; options: times, conf (path of a configuration), before (an argument vector that starts
--- the agent: { "/usr/bin/unshare", "-n", … }). Returns { values = { ["metric"] or ["metric{tag=value …}"] = that of
--- the last run }, code, output }.
function M.run(name, params, options)
  options = options or {}
  local argv = { unpack(options.before or {}) }
  for _, word in ipairs({ assert(os.getenv("AGENT")), "builtin", "run", name, "--params", cjson.encode(params),
    "--times", tostring(options.times or 1) }) do argv[#argv + 1] = word end
  if options.conf then
    argv[#argv + 1] = "-f"
    argv[#argv + 1] = options.conf
  end
  local child = program.spawn(table.remove(argv, 1), argv)
  child.wait(60)
  local values = {}
  for line in child.stdout:gmatch("[^\n]+") do
    local metric, value, tags = line:match("^PLUGIN%." .. name .. "%.(%S+) +(%S+) *(.-) *$")
    if metric then values[tags == "" and metric or metric .. "{" .. tags .. "}"] = tonumber(value) or value end
  end
  return { values = values, code = child.code, output = child.output }
end

--- The values of a run that must go well.
function M.good(name, params, options)
  local outcome = M.run(name, params, options)
  assert(outcome.code == 0, outcome.output)
  return outcome.values
end

--- Whether `unshare` with these arguments does well here; else why not.
function M.can_unshare(...)
  if not uv.fs_stat("/usr/bin/unshare") then return false, "util-linux is not installed" end
  local child = program.spawn("/usr/bin/unshare", { ... })
  child.wait(10)
  return child.code == 0, "not possible here: " .. child.output
end

return M
