---@meta host.guard

--- Ends this process when foreign code does not come back: for worker processes only.
local guard = {}

--- From here on nobody but root reads this process' memory or environment, not itself by way of /proc either.
---@return boolean
function guard.conceal() end

--- Once. From then on what takes longer than `bound_ms` between enter() and leave() ends the process with status
--- 75, after a line on stderr: "guard: ID: why"; so does a deadly signal meanwhile. false: no timer was to be had.
---@param bound_ms number
---@return boolean
function guard.start(bound_ms) end

--- This thread is at `id` from here on.
---@param id integer from 1 on
function guard.enter(id) end

function guard.leave() end

return guard
