-- The oracle: runs seeds, each in a room of its own, and says which failed; see docs/chaos.md and run.sh.

package.path = "./tests/chaos/?.lua;./tests/lib/?.lua;" .. package.path

local runner = require("runner")

local first, count = tonumber(os.getenv("SEED") or ""), tonumber(os.getenv("SEEDS") or "") or 20
if first then count = 1 end
local failed = runner.run({
  first = first or tonumber(os.getenv("FIRST") or "") or 1, count = count,
  jobs = tonumber(os.getenv("JOBS") or "") or 2, seconds = tonumber(os.getenv("CHAOS_SECONDS") or "") or 7,
  each = function(run)
    local last = run.text:match("\n(ok in [^\n]*)")
    io.stdout:write(run.ok and count > 1 and ("seed %d %s\n"):format(run.seed, last) or run.text)
    io.stdout:flush()
  end,
})
print(("%d seeds, %d failed%s"):format(count, #failed, failed[1] and ": " .. table.concat(failed, " ") or ""))
for _, seed in ipairs(failed) do print(("make chaos SEED=%d replays it"):format(seed)) end
return #failed == 0 and 0 or 1
