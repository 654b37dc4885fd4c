-- docs/config.md, made from the schema.

local M = {}

local head = [[
# Configuration

Made from the schema by `agent check --docs`; a spec compares the two.

A Lua file that returns a table; `return {}` is valid. It runs in an environment of its own: no io, os,
require or ffi, but `env("NAME", default)` for secrets and paths, and plain string, table and math
functions. A file that does not end, or fills the memory, is an error. `agent check -f FILE` lists everything
that is wrong with a file.

Durations are seconds or a string with a unit (`ms`, `s`, `m`, `h`, `d`): `"10s"`. Sizes are bytes or a string with
a unit (`B`, `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`): `"64MiB"`.

| key | default | value | meaning |
| --- | --- | --- | --- |
]]

local function literal(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local items = {}
  for i, item in ipairs(value) do items[i] = literal(item) end
  return #items == 0 and "{}" or "{ " .. table.concat(items, ", ") .. " }"
end

local function default_of(entry)
  if entry.type == "ignored" or entry.type == "section" then return "" end
  if entry.shown then return entry.shown end
  local types = require("agent.config.types")
  if entry.type == "size" then return ("`%q`"):format(types.show_size(entry.default)) end
  if entry.type == "duration" then return ("`%q`"):format(types.show_duration(entry.default)) end
  return "`" .. literal(entry.default) .. "`"
end

local function value_of(entry)
  if entry.type == "ignored" then return "ignored" end
  if entry.type == "section" then return "a table" end
  return require("agent.config.types")[entry.type].wants(entry)
end

--- The whole text of docs/config.md.
function M.markdown()
  local rows = {}
  for i, entry in ipairs(require("agent.config.schema")) do
    rows[i] = ("| %s | %s | %s | %s |\n"):format(entry.key, default_of(entry), value_of(entry), entry.says)
  end
  return head .. table.concat(rows)
end

return M
