-- Runs seeds, some at a time, each as a process in a room of its own and with a folder that is removed afterwards.

local program = require("program")
local room = require("room")

local M = {}

local LONGEST_SECONDS = 240

local function start(seed, seconds, enter, why)
  local folder = program.folder()
  local argv = { unpack(enter) }
  for _, word in ipairs({ assert(os.getenv("AGENT")), "lua", "tests/chaos/seed.lua", tostring(seed),
    tostring(seconds), folder, why and "no" or "yes", why }) do argv[#argv + 1] = word end
  return { seed = seed, folder = folder, child = program.spawn(argv[1], { unpack(argv, 2) }) }
end

--- options: first, count (seeds), jobs (at a time), seconds (of a story), each(run): called with { seed, ok, text } at
--- the end of each. Returns the seeds that failed, and why all were without a room of their own, if they were.
function M.run(options)
  local enter, why = room.enter()
  local running, next_seed, failed = {}, options.first, {}
  local last = options.first + options.count - 1
  local function tend()
    for i = #running, 1, -1 do
      local run = running[i]
      if run.child.code then
        table.remove(running, i)
        run.child.wait(10)
        program.remove(run.folder)
        run.text = run.child.output
        run.ok = run.child.code == 0 and run.text:find("\nok in ", 1, true) ~= nil
        if not run.ok then failed[#failed + 1] = run.seed end
        options.each(run)
      end
    end
    while #running < options.jobs and next_seed <= last do
      running[#running + 1] = start(next_seed, options.seconds, enter, why)
      next_seed = next_seed + 1
    end
    return #running == 0
  end
  program.wait("all seeds", LONGEST_SECONDS * options.count, tend)
  table.sort(failed)
  return failed, why
end

return M
