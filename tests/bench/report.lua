-- Collects the rows of the benchmark: Markdown on stdout and in results.md, every sample in samples.txt.

local uv = require("luv")

local M = {}
local Report = {}
Report.__index = Report

function M.new(folder)
  return setmetatable({
    results = assert(io.open(folder .. "/results.md", "w")),
    samples = assert(io.open(folder .. "/samples.txt", "w")),
    goals = {},
  }, Report)
end

function Report:line(text)
  io.stdout:write(text, "\n")
  io.stdout:flush()
  self.results:write(text, "\n")
end

--- One measured value, for whoever wants to look behind the medians.
function Report:sample(...)
  self.samples:write(table.concat({ ... }, "\t"), "\n")
  self.samples:flush()
end

function Report:row(...)
  self:line("| " .. table.concat({ ... }, " | ") .. " |")
end

function Report:head(...)
  self:line("")
  self:row(...)
  self:row(unpack((function(columns)
    for i = 1, #columns do columns[i] = i == 1 and "---" or "---:" end
    return columns
  end)({ ... })))
end

--- Remembers a measure for the last table. value <= limit means that the goal is met.
function Report:goal(measure, format, value, limit)
  self.goals[#self.goals + 1] = { measure, value and format:format(value) or "not measured",
    format:format(limit), value and (value <= limit and "yes" or "**no**") or "-" }
end

function Report:describe(options)
  local host, cpus = uv.os_uname(), uv.cpu_info()
  self:line(("%s, Linux %s, %d × %s; load %.2f at the start; watched for %d s after %d s of warming up"):format(
    os.date("!%Y-%m-%d %H:%M UTC"), host.release, #cpus, cpus[1].model, uv.loadavg(), options.seconds,
    options.warmup))
end

function Report:finish()
  if #self.goals > 0 then
    self:head("measure", "measured", "goal: at most", "met")
    for _, goal in ipairs(self.goals) do self:row(unpack(goal)) end
  end
  self.results:close()
  self.samples:close()
end

--- The median of a list of numbers; nil of an empty one.
function M.median(values)
  local sorted = { unpack(values) }
  table.sort(sorted)
  local n = #sorted
  if n == 0 then return nil end
  return (sorted[math.ceil(n / 2)] + sorted[math.floor(n / 2) + 1]) / 2
end

return M
