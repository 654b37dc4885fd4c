-- Runs the benchmark and prints its tables; see run.sh for the variables.

package.path = "./tests/bench/?.lua;./tests/lib/?.lua;" .. package.path

local program = require("program")
local report = require("report")
local uv = require("luv")

local function number(name, default)
  return tonumber(os.getenv(name) or "") or default
end

local parts = os.getenv("BENCH_ROWS") or "cycle processes api delivery start registry builtins plugins programs"
local options = {
  seconds = number("BENCH_SECONDS", 120), warmup = number("BENCH_WARMUP", 20),
  folder = program.folder(),
}

local out = report.new("build/bench")
out:describe(options)
local ok, why = xpcall(function()
  for part in parts:gmatch("%S+") do require("part_" .. part)(out, options) end
end, debug.traceback)
program.remove(options.folder)
out:finish()
if not ok then
  io.stderr:write(why, "\n")
  return 1
end
uv.run("nowait")
return 0
