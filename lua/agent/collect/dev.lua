-- Group DEV: exists because the registry knows it; contracts.md §3.2 has no metric for it.

local M = { name = "DEV", interval = 300, rates = false }

function M.new()
  return { run = function(done) done({}) end }
end

return M
