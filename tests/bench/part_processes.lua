-- PROC with thousands of processes, against a C loop that does the same reads.

local median = require("report").median
local program = require("program")
local uv = require("luv")

local ROUNDS, BATCHES = 5, "9"
local helper = "build/bench/processes"

-- `n` children whose executable is a path of its own; returns that and a function that ends them.
local function crowd(folder, n)
  local path = ("%s/crowd-%d"):format(folder, n)
  os.execute(("cp %s %s"):format(helper, path))
  local input, output = uv.new_pipe(false), uv.new_pipe(false)
  local text, gone = "", false
  local process = assert(uv.spawn(path, { args = { "crowd", tostring(n) }, stdio = { input, output, 2 } },
    function() gone = true end))
  output:read_start(function(_, chunk) text = text .. (chunk or "") end)
  program.wait("the crowd", 120, function() return text:find("\n") end)
  local started = tonumber(text:match("ready (%d+)"))
  return path, function()
    input:close()
    program.wait("the end of the crowd", 120, function() return gone end)
    output:close()
    process:close()
  end, started
end

local function measure(path, ...)
  local child = program.spawn(path, { ... })
  assert(child.wait(300) == 0, child.output)
  return child.output:match("^(%S+) ?(%S*)")
end

local function compare(out, label, path)
  local floor, agent, stall = {}, {}, 0
  for round = 1, ROUNDS do
    floor[round] = tonumber((measure(helper, "read", path, BATCHES)))
    local us, ms = measure(os.getenv("AGENT"), "lua", "tests/bench/sweep.lua", path, BATCHES)
    agent[round], stall = tonumber(us), math.max(stall, tonumber(ms))
    out:sample("processes_us", label, round, floor[round], agent[round], ms)
  end
  local low, ours = median(floor), median(agent)
  out:row(label, ("%.0f"):format(low), ("%.0f"):format(ours), ("%.2f"):format(ours / low), ("%.1f"):format(stall))
  return ours, low, stall
end

return function(out, options)
  out:head("one run of PROC, three items", "C, µs of CPU", "agent, µs of CPU", "×", "longest stall, ms")
  compare(out, "as the machine is, none matches", "/nowhere")
  local path, finish = crowd(options.folder, 2000)
  local all, floor, stall = compare(out, "2000 more, all match", path)
  local none = compare(out, "2000 more, none matches", "/nowhere")
  finish()
  out:goal("PROC, 2000 match / C", "%.2f", all / floor, 1.2)
  out:goal("PROC, none of 2000 matches / the C loop when all do", "%.2f", none / floor, 0.2)
  out:goal("PROC, longest stall in ms", "%.1f", stall, 20)
  local many = tonumber(os.getenv("BENCH_PROCESSES") or "") or 0
  if many == 0 then return end
  path, finish, many = crowd(options.folder, many)
  compare(out, many .. " more, all match", path)
  compare(out, many .. " more, none matches", "/nowhere")
  finish()
end
