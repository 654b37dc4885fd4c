-- The builtin functions that come with the agent, against real servers: a server of the test's own, the function run
-- by `agent builtin run`, and by a running agent.

local cjson = require("cjson")
local program = require("program")
local uv = require("luv")

local M = {}

--- A folder that servers and the worker, who may be nobody, can read.
function M.folder()
  local folder = program.folder()
  uv.fs_chmod(folder, 493) -- 0755
  return folder
end

local function metric_of(line, found, name)
  local metric, value, tags = line:match("^PLUGIN%." .. name .. "%.(%S+) +(%S+) *(.*)$")
  if not metric then return end
  found[tags == "" and metric or metric .. "{" .. tags:gsub("%s+$", "") .. "}"] = tonumber(value) or value
end

--- `agent builtin run NAME`: { values = { ["metric"] or
--- ["metric{tag=value}"] = the last run's }, code, why = all it said }.
function M.run(name, params, times)
  local child = program.agent({ "builtin", "run", name, "--params", cjson.encode(params), "--times",
    tostring(times or 1) })
  child.wait(60)
  local found = {}
  for line in child.stdout:gmatch("[^\n]+") do metric_of(line, found, name) end
  return { values = found, code = child.code, why = child.output, stdout = child.stdout }
end

--- The values of runs that must go well.
function M.good(name, params, times)
  local outcome = M.run(name, params, times)
  assert(outcome.code == 0, outcome.why)
  return outcome.values
end

--- Why a run failed that must fail, and that it gave no metrics.
function M.bad(name, params)
  local outcome = M.run(name, params)
  assert(outcome.code == 1, "it did not fail: " .. outcome.why)
  assert(next(outcome.values) == nil, outcome.stdout)
  return outcome.why
end

local function points(folder, name)
  local values = {}
  for line in (program.read(folder .. "/points") or ""):gmatch("([^\n]+)\n") do
    if line:find('"' .. name .. '"', 1, true) then
      for _, point in ipairs(cjson.decode(line).points) do
        if point.measurement == name then values[#values + 1] = point.fields.value end
      end
    end
  end
  return values
end

--- What a running agent publishes of an item for the function: the first value of each of `metrics`.
function M.published(name, params, metrics)
  local folder = M.folder()
  local path = program.configure(folder, { agent = { mininterval = 1 } }, { ["web.shop.loda"] = {
    { measurement_type = "BUILTIN", name = name, interval = "1", params = cjson.encode(params) } } })
  local agent = program.agent({ "start", "-f", path })
  local ok, found = pcall(function()
    local values = {}
    for _, metric in ipairs(metrics) do
      values[metric] = program.wait(metric .. " to be published", 30, function()
        assert(not agent.code, agent.output)
        return points(folder, metric)[1]
      end)
    end
    return values
  end)
  agent.kill("sigterm")
  agent.wait(20)
  program.remove(folder)
  assert(ok, tostring(found) .. "\n" .. agent.output)
  return found
end

--- Starts a server; ready() is waited for. Ended by M.stop(), or by the test.
function M.start(path, args, ready, env)
  local child = program.spawn(path, args, env)
  program.wait(path, 30, function()
    if child.code then error(path .. " ended: " .. child.output) end
    return ready(child)
  end)
  return child
end

function M.stop(child, signal)
  if not child then return end
  child.kill("sigcont")
  child.kill(signal or "sigterm")
  child.wait(30)
end

--- Whether something answers on a port or a unix socket.
function M.listens(where)
  local handle = type(where) == "number" and uv.new_tcp() or uv.new_pipe(false)
  local over, good = false, false
  local function done(err)
    over, good = true, not err
    handle:close()
  end
  if type(where) == "number" then handle:connect("127.0.0.1", where, done) else handle:connect(where, done) end
  while not over do uv.run("once") end
  uv.run("nowait")
  return good
end

return M
