-- The text formats of Prometheus (0.0.4) and OpenMetrics (1.0).

local lines = require("agent.formats.lines")
local lpeg = require("lpeg")

local C, Cc, Cp, Ct, P, R, S = lpeg.C, lpeg.Cc, lpeg.Cp, lpeg.Ct, lpeg.P, lpeg.R, lpeg.S

local M = {}

local escapes = { n = "\n", ['"'] = '"', ["\\"] = "\\" }

local function unquote(text)
  return text:find("\\", 1, true) and text:gsub('\\([n"\\])', escapes) or text
end

-- Sign and digits, or what has no place in InfluxDB.
local not_finite = { nan = "NaN", inf = "Inf", infinity = "Inf" }

local function no_number(text)
  return not_finite[text:lower():gsub("^[+-]", "")] or "out of range"
end

local function to_number(text)
  return lines.number(text) or no_number(text)
end

local function any_case(word)
  local pattern = P(true)
  for c in word:gmatch(".") do pattern = pattern * S(c:lower() .. c:upper()) end
  return pattern
end

local blank = S(" \t")
local letter = R("az", "AZ") + P("_")
local digits = R("09")^1
local finite = S("+-")^-1 * (digits * (P(".") * R("09")^0)^-1 + P(".") * digits) * (S("eE") * S("+-")^-1 * digits)^-1
local infinite = S("+-")^-1 * (any_case("infinity") + any_case("inf")) + S("+-")^-1 * any_case("nan")
local stop = #S(" \t\r\n") + -P(1)
local value = C(finite) * stop / to_number + C(infinite) * stop / no_number
local time = C(finite) * stop

local quoted = P('"') * C(((1 - S('"\\\n')) + P("\\") * (1 - P("\n")))^0) * P('"') / unquote
local name = C((letter + P(":")) * (letter + P(":") + R("09"))^0)
local label_name = C(letter * (letter + R("09"))^0) + quoted
local label = blank^0 * label_name * blank^0 * P("=") * blank^0 * quoted * blank^0
local labels = P("{") * Ct((label * (P(",") * label)^0 * P(",")^-1)^-1) * blank^0 * P("}")
-- Prometheus 3 writes a name of other characters between the braces: {"a.b",key="value"}.
local quoted_series = P("{") * blank^0 * quoted * blank^0 * (P(",") + #P("}"))
  * Ct((label * (P(",") * label)^0 * P(",")^-1)^-1) * blank^0 * P("}")
local series = name * (blank^0 * labels * blank^0 + Ct(true) * blank^1) + quoted_series * blank^0
local exemplar = P("#") * (1 - P("\n"))^0
local line_end = P("\n") + -P(1)
local sample = series * value * (blank^1 * time + Cc(false)) * blank^0 * exemplar^-1 * P("\r")^-1 * line_end * Cp()
local comment = P("#") * (1 - P("\n"))^0 * line_end * Cp()
local known_comment = P("#") * blank^1 * (P("HELP") + "TYPE" + "UNIT") * blank^1 * (letter + S(':"'))
local eof = P("# EOF") * blank^0 * P("\r")^-1 * line_end

local function what_is_wrong(text, at)
  local full = name:match(text, at) or quoted_series:match(text, at)
  if not full then return "a metric's name was expected" end
  if not (series / 0):match(text, at) then return "bad labels, or no blank behind the name", full end
  if not (series / 0 * (value / 0)):match(text, at) then return "the value is no number", full end
  return "a time stamp or the end of the line was expected", full
end

local function parse(self, at, list)
  local text = self.text
  if self.ended then return nil, "text behind # EOF" end
  if text:byte(at) == 35 then
    self.ended = eof:match(text, at) ~= nil
    return comment:match(text, at)
  end
  local full, label_list, number, timestamp, behind = sample:match(text, at)
  if not full then return nil, what_is_wrong(text, at) end
  local tags, why = lines.tags(label_list)
  if why then return nil, why, full end
  if full == "" then return nil, "without a name" end
  if type(number) == "string" then
    self:drop(full, "value is " .. number)
    return behind
  end
  list[#list + 1] = { name = self.prefix .. lines.name(full), value = number, tags = tags,
    timestamp = timestamp and lines.seconds(timestamp) or nil }
  return behind
end

--- A reader of Prometheus' text or OpenMetrics (agent.formats.lines): each sample is a metric, labels are tags.
--- Values that are not finite are passed over without being an error: told to options.refuse, and counted in
--- the reader's `dropped`.
---@param text string
---@param options? table { prefix = string?, refuse = fun(line, name, reason)? }
function M.reader(text, options)
  return lines.reader(text, options, parse)
end

--- "sample" or "comment" (HELP, TYPE, UNIT, EOF) where the line at `at` of `text` is one, nil otherwise.
---@param text string
---@param at integer
---@return string?
function M.kind_of(text, at)
  if text:byte(at) ~= 35 then return sample:match(text, at) and "sample" end
  return (known_comment:match(text, at) or eof:match(text, at)) and "comment" or nil
end

return M
