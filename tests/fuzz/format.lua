-- What must hold for a parser of agent.formats, whatever the text: it raises nothing, ends within as many reads
-- as there are bytes, gives valid metrics only, and in slices of 3 the same as at once. Told apart it is, too.
-- Called with the parser's name; returns check(text), which raises.

local name = ...

jit.off() -- as in the supervisor
package.path = "lua/?.lua;lua/?/init.lua;tests/lib/?.lua;" .. package.path

local formats = require("formats")
local output = require("agent.plugin.output")
local open = require("agent.formats." .. name).reader

local known = { empty = true, json = true, line = true, prometheus = true, nagios = true }

local function same(a, b, where)
  if type(a) ~= "table" or type(b) ~= "table" then
    return assert(a == b, ("%s: %s at once, %s in slices"):format(where, tostring(a), tostring(b)))
  end
  for key, value in pairs(a) do same(value, b[key], where .. "." .. tostring(key)) end
  for key in pairs(b) do assert(a[key] ~= nil, where .. "." .. tostring(key) .. ": in slices only") end
end

return function(text)
  for code = 0, 3, 3 do
    formats.check(open, text, { code = code }, function(a, b) same(a, b, "result") end)
    local kind = output.detect(text, code)
    assert(kind == nil or known[kind], kind)
  end
  formats.read(open, text, { code = 0, strict = true }, 5)
end
