-- Worker conf: evaluates a Lua file that returns a table. May block, loop or run out of memory: it
-- has a deadline and limits, and whoever asked has not.

local largest = 2 ^ 20

local function read_file(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, (why:gsub("^" .. path:gsub("%p", "%%%0") .. ": ", "cannot be read: ")) end
  local source, wrong = file:read(largest + 1)
  file:close()
  if wrong then return nil, "cannot be read: " .. wrong end
  source = source or ""
  if #source > largest then return nil, "larger than 1 MiB" end
  return source
end

local function failed(problem)
  return { problems = { problem } }
end

--- request: { open = path, environment = map for env(), validate = bool }. Returns { data =, lines = },
--- or with validate { conf =, warnings = }; { problems = { { key =, line =, message = } … } } instead
--- when the file is wrong.
local function evaluate(request)
  local source, why = read_file(request.open)
  if not source then return failed({ message = why }) end
  local value, wrong = require("agent.config.sandbox").evaluate(source, { variables = request.environment })
  if not value then return failed(wrong) end
  local lines = require("agent.config.lines")(source)
  local data, foreign = require("agent.config.plain")(value)
  if not data then
    foreign.line = lines[foreign.key]
    return failed(foreign)
  end
  if not request.validate then return { data = data, lines = lines } end
  local conf, notes = require("agent.config").validate(data, lines)
  if not conf then return { problems = notes } end
  return { conf = conf, warnings = notes }
end

return evaluate
