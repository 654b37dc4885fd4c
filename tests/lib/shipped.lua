-- The builtin functions that come with the agent, in specs: loaded as files, run with a ctx of the test, and
-- compared with docs/builtins-shipped.md.

local program = require("program")

local M = {}

--- What builtin/NAME.lua returns, with `json` as the sandbox has it.
function M.load(name)
  local chunk = assert(loadfile("builtin/" .. name .. ".lua"))
  local function harmless(fn)
    return function(text)
      local ok, value = pcall(fn, text)
      if ok then return value end
      return nil, value
    end
  end
  local cjson = require("cjson").new()
  local json = { encode = harmless(cjson.encode), decode = harmless(cjson.decode), null = cjson.null }
  return setfenv(chunk, setmetatable({ json = json }, { __index = _G }))()
end

--- The parameters as the function gets them: what is given over the defaults of its schema.
function M.params(definition, given)
  local values, why = require("agent.worker.builtin.params").fit(definition.params, given or {})
  return assert(values, why)
end

local Connection = {}
Connection.__index = Connection

function Connection:send(text)
  self.sent[#self.sent + 1] = text
  return true
end

local function ended() return nil, "the server: closed by the other side", "closed" end

function Connection:line()
  local line, rest = self.text:match("^([^\n]*)\n(.*)$")
  if not line then return ended() end
  self.text = rest
  return (line:gsub("\r$", ""))
end

function Connection:read(n)
  if #self.text < (n or 1) then return ended() end
  local piece = self.text:sub(1, n or -1)
  self.text = self.text:sub(#piece + 1)
  return piece
end

function Connection:close() self.closed = true end

--- A connection that gives `text` and then ends; what was sent to it is in `sent`.
function M.connection(text)
  return setmetatable({ text = text, sent = {} }, Connection)
end

--- A ctx whose clock stands still but for ctx.pass(seconds); `fields` are put over it.
function M.ctx(fields)
  local at, before, asked = 1000, {}, {}
  local ctx = { ns = "web.loda", name = "item", interval = 10, state = {}, records = {} }
  function ctx.mono() return at end
  function ctx.now() return 1700000000 + at end
  function ctx.deadline() return 10 end
  function ctx.log(level, text) ctx.records[#ctx.records + 1] = text and level .. ": " .. text or level end
  function ctx.rate(key, counter)
    assert(not asked[key], key .. " is asked for twice")
    asked[key] = { counter, at }
    local last = before[key]
    return type(counter) == "number" and last and at > last[2] and counter >= last[1]
      and (counter - last[1]) / (at - last[2]) or nil
  end
  function ctx.pass(seconds)
    at, before, asked = at + seconds, asked, {}
  end
  for key, value in pairs(fields or {}) do ctx[key] = value end
  return ctx
end

--- Metrics as a function returns them (both shapes) as a list.
function M.list(given)
  local list, refused, why = require("agent.worker.builtin.metrics").plain(given)
  assert(refused == 0, why)
  return list
end

--- The value of a metric in what a function returned.
function M.value(given, name, tags)
  return require("agent.builtin.try").value({ metrics = M.list(given) }, name, tags)
end

-- The part of the page that is about one function.
local function section(name)
  local text = program.read("docs/builtins-shipped.md")
  local from = text:find("\n## " .. name .. "\n", 1, true)
  assert(from, "docs/builtins-shipped.md has no section ## " .. name)
  return text:sub(from, (text:find("\n## ", from + 1, true) or 0) - 1)
end

--- The rows of the tables of one function: metrics { [name] = { unit =, tags = "a, b" } }, params { [name] = true }.
function M.documented(name)
  local metrics, params = {}, {}
  for line in section(name):gmatch("[^\n]+") do
    local metric, unit, tags = line:match("^| `([%w_.-]+)` |%s*([^|]-)%s*|%s*([^|]-)%s*| [^|]+ |$")
    if metric then
      assert(not metrics[metric], metric .. " has two rows")
      metrics[metric] = { unit = unit, tags = tags }
    else
      local param = line:match("^| `([%w_]+)` | [^|]+ |[^|]+|$")
      if param then params[param] = true end
    end
  end
  return { metrics = metrics, params = params }
end

local function tag_names(metric)
  local names = {}
  for tag in pairs(metric.tags or {}) do names[#names + 1] = tag end
  table.sort(names)
  return table.concat(names, ", ")
end

--- Fails unless what was emitted (in several runs together) and the page tell the same.
function M.compare(name, ...)
  local rows, seen = M.documented(name).metrics, {}
  for _, given in ipairs({ ... }) do
    for _, metric in ipairs(M.list(given)) do
      local row = assert(rows[metric.name], ("%s: %s has no row"):format(name, metric.name))
      local tags = tag_names(metric)
      assert(row.tags == tags, ("%s: tags of %s are %q, the row says %q"):format(name, metric.name, tags, row.tags))
      seen[metric.name] = true
    end
  end
  for metric in pairs(rows) do assert(seen[metric], ("%s: %s is documented, not emitted"):format(name, metric)) end
end

return M
