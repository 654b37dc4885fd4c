-- The end of a run of a builtin function, as agent.outcome publishes it.

local PART = 250 -- metrics that are published in one turn of the loop

-- To the millionth: no clock here knows better.
local function rounded(value)
  return math.floor(value * 1e6 + 0.5) / 1e6
end

-- The first PART of a long list now, the others in turns of their own.
local function in_parts(run, outcome, after)
  local list = run.metrics
  run.metrics = { unpack(list, 1, PART) }
  outcome:part(run)
  run.metrics = {}
  for i = PART + 1, #list do run.metrics[i - PART] = list[i] end
  after(0.001, function()
    if #run.metrics > PART then return in_parts(run, outcome, after) end
    outcome:report(run)
  end)
end

--- Reports the end of a run, in parts when it gave much.
---@param item { ns: string, name: string }
---@param ended { status: integer, reason: string?, metrics: table[]?, seconds: number?, cpu: number?, bytes: integer? }
---@param outcome table agent.outcome's
---@param after fun(seconds: number, fn: fun())
return function(item, ended, outcome, after)
  local run = {
    kind = "goplugin", ns = item.ns, name = item.name, type = "regular", status = ended.status,
    reason = ended.reason, metrics = ended.metrics or {},
    usage = ended.seconds and { seconds = rounded(ended.seconds), cpu_ms = rounded((ended.cpu or 0) * 1000),
      output_bytes = ended.bytes },
  }
  if #run.metrics > PART then return in_parts(run, outcome, after) end
  outcome:report(run)
end
