-- The configuration: a Lua file that returns a table, evaluated and checked in a worker, so that
-- neither what is in the file nor the schema ever weighs on the supervisor.

local M = {}

--- Loads and checks the file at `path`. Never blocks.
--- callback(err, conf, warnings): conf is complete and typed (sizes in bytes, durations in seconds);
--- warnings an array of { key =, line =, message = }. err: { code = "invalid" | "timeout" | …,
--- message = one sentence, problems = { { key =, line = | nil, message = } … } }.
function M.load(path, callback)
  require("agent.luafile").evaluate(path, { validate = true }, function(err, result)
    if err then return callback(err) end
    if result.conf then return callback(nil, result.conf, result.warnings) end
    local first = result.problems[1]
    callback({ code = "invalid", problems = result.problems,
      message = ("%s: %s%s"):format(M.where(path, first), first.message,
        #result.problems > 1 and (" (and %d more)"):format(#result.problems - 1) or "") })
  end)
end

--- "FILE:LINE: key", with only what is known of the three.
function M.where(path, problem)
  local where = problem.line and ("%s:%d"):format(path, problem.line) or path
  return problem.key and problem.key ~= "" and where .. ": " .. problem.key or where
end

--- Writes the problems of an err of load(), or of luafile.load(), to a stream, one a line.
function M.show(stream, path, err)
  if not err.problems then return stream:write(err.message, "\n") end
  for _, problem in ipairs(err.problems) do
    stream:write(("%s: %s\n"):format(M.where(path, problem), problem.message))
  end
end

-- The checker and the schema are a burden for who stays: they are dropped after each use.
local function with_checker(fn)
  local a, b = fn(require("agent.config.validate"))
  for _, name in ipairs({ "validate", "schema", "types", "nearest" }) do
    package.loaded["agent.config." .. name] = nil
  end
  return a, b
end

--- Checks a table; see agent.config.validate. Returns conf, warnings; or nil, problems.
function M.validate(given, lines)
  return with_checker(function(checker) return checker.validate(given, lines) end)
end

--- The configuration of `return {}`.
function M.defaults()
  return (assert(M.validate({})))
end

return M
