-- InfluxDB's line protocol (contracts.md §7.1), also what Telegraf's exec scripts print.

local lines = require("agent.formats.lines")
local lpeg = require("lpeg")

local C, Cc, Cp, Ct, P, R, S = lpeg.C, lpeg.Cc, lpeg.Cp, lpeg.Ct, lpeg.P, lpeg.R, lpeg.S

local M = {}

-- What an integer or a number becomes that no double can hold.
local OUT_OF_RANGE = {}

local function unescape_text(stops)
  local escape = "\\([" .. stops .. "])"
  return function(text)
    return text:find("\\", 1, true) and text:gsub(escape, "%1") or text
  end
end

-- Bare text that ends at one of `stops`, which a backslash takes the meaning from; before any other
-- character it stands for itself.
local function bare(stops)
  return C((P("\\") * S(stops) + (1 - S(stops .. "\n")))^1) / unescape_text(stops)
end

local function to_float(text)
  return lines.number(text) or OUT_OF_RANGE
end

local function to_integer(text)
  local number = lines.number(text)
  return number and math.abs(number) <= 2^63 and number or OUT_OF_RANGE
end

local function to_unsigned(text)
  local number = lines.number(text)
  return number and number <= 2^64 and number or OUT_OF_RANGE
end

local function to_string(text)
  return text:find("\\", 1, true) and text:gsub('\\(["\\])', "%1") or text
end

local digits = R("09")^1
local whole = P("-")^-1 * digits
local float = P("-")^-1 * (digits * (P(".") * R("09")^0)^-1 + P(".") * digits) * (S("eE") * S("+-")^-1 * digits)^-1
local integer = C(whole) * P("i") / to_integer
local unsigned = C(digits) * P("u") / to_unsigned
local truth = (P("true") + "True" + "TRUE" + "t" + "T") * Cc(true)
  + (P("false") + "False" + "FALSE" + "f" + "F") * Cc(false)
-- The one place where a line may go on in the next.
local quoted = P('"') * C(((1 - S('"\\')) + P("\\") * P(1))^0) * P('"') / to_string

local measurement = bare(", ")
local key = bare(",= ")
local tag = P(",") * key * P("=") * key
local field = key * P("=") * (integer + unsigned + C(float) / to_float + quoted + truth)
local blanks = P(" ")^1
local rest = P(" ")^0 * P("\r")^-1 * (P("\n") + -P(1)) * Cp()
local time = (blanks * C(whole) + Cc(false))

local head = measurement * Ct(tag^0)
local record = head * blanks * Ct(field * (P(",") * field)^0) * time * rest
local comment = P("#") * (1 - P("\n"))^0 * (P("\n") + -P(1)) * Cp()

-- Which piece of the line is the first that isn't one. Only bad lines pay for this.
local steps = {
  { measurement, "a measurement was expected" }, { tag^0, "" },
  { blanks, "a tag, or a blank and fields were expected" },
  { field, "a field was expected: key=value" }, { (P(",") * field)^0, "" }, { (blanks * whole)^-1, "" },
  { rest, "the end of the line was expected" },
}

local function what_is_wrong(text, at)
  local from, name = at, nil
  for i, step in ipairs(steps) do
    local behind = (step[1] / 0 * Cp()):match(text, at)
    if not behind then return ("byte %d: %s"):format(at - from + 1, step[2]), name end
    if i == 1 then name = text:sub(at, behind - 1) end
    at = behind
  end
  return "not a line", name
end

local function append(self, list, name, tags, fields, timestamp)
  for i = 1, #fields, 2 do
    local full = name
    if fields[i] ~= "value" then full = name .. "." .. fields[i] end
    list[#list + 1] = { name = self.prefix .. lines.name(full), value = fields[i + 1], tags = tags,
      timestamp = timestamp }
  end
end

local function why_not(fields)
  if #fields > 2 * lines.FIELDS_MAX then return ("more than %d fields"):format(lines.FIELDS_MAX) end
  for i = 1, #fields, 2 do
    if fields[i + 1] == OUT_OF_RANGE then return ("field %s: number out of range"):format(fields[i]) end
  end
end

local function parse(self, at, list)
  local text = self.text
  if text:byte(at) == 35 then return comment:match(text, at) end
  local name, tag_list, fields, timestamp, behind = record:match(text, at)
  if not name then return nil, what_is_wrong(text, at) end
  if behind - at > lines.LINE_MAX then return nil, ("longer than %d bytes"):format(lines.LINE_MAX), name end
  local tags, bad_tags = lines.tags(tag_list)
  local why = bad_tags or why_not(fields)
  if why then return nil, why, name end
  append(self, list, name, tags, fields, timestamp and lines.seconds(timestamp) or nil)
  return behind
end

--- A reader of line protocol (agent.formats.lines): one metric a field, `measurement.field`, of a field named
--- `value` the measurement alone; the metrics of a line share one table of tags.
---@param text string
---@param options? table { prefix = string?, refuse = fun(line, name, reason)? }
function M.reader(text, options)
  return lines.reader(text, options, parse)
end

--- Whether the line at `at` of `text` is one with fields.
---@param text string
---@param at integer
---@return boolean
function M.is_line(text, at)
  return text:byte(at) ~= 35 and record:match(text, at) ~= nil
end

return M
