-- A collection cycle against the floor: a C program that only reads the same files. Both measure their own
-- CPU time; the rounds alternate, so that both see the same machine.

local median = require("report").median
local program = require("program")

local ROUNDS, CYCLES, BATCHES = 7, "200", "9"

local function measure(path, ...)
  local child = program.spawn(path, { ... })
  assert(child.wait(60) == 0, child.output)
  return assert(tonumber(child.output:match("^%S+")), child.output)
end

return function(out)
  local agent, floor = os.getenv("AGENT"), os.getenv("FLOOR")
  local times = { floor = {}, plain = {}, cycle = {}, encode = {} }
  for round = 1, ROUNDS do
    times.floor[round] = measure(floor, CYCLES, BATCHES)
    times.cycle[round] = measure(agent, "lua", "tests/bench/cycle.lua", CYCLES, BATCHES)
    times.encode[round] = measure(agent, "lua", "tests/bench/cycle.lua", CYCLES, BATCHES, "encode")
    times.plain[round] = measure(floor, CYCLES, BATCHES, "plain")
    for name, list in pairs(times) do out:sample("cycle_us", name, round, list[round]) end
  end
  local lowest = median(times.floor)
  out:head("one cycle of CPU, MEM, DISK, NET", "µs of CPU", "× floor")
  for _, row in ipairs({
    { "floor", "C, descriptors kept open, pread, looks at nothing" },
    { "plain", "C, each file opened, read, closed" },
    { "cycle", "agent: collected" },
    { "encode", "agent: collected and encoded" },
  }) do
    local us = median(times[row[1]])
    out:row(row[2], ("%.0f"):format(us), ("%.2f"):format(us / lowest))
  end
  out:goal("a collection cycle / the floor", "%.2f", median(times.cycle) / lowest, 2)
end
