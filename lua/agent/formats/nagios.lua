-- Output of Nagios plugins: the exit status and the performance data behind `|`, as the Monitoring Plugins
-- Development Guidelines describe them (https://www.monitoring-plugins.org/doc/guidelines.html, "Performance
-- data" and "Plugin Output for Nagios").

local lines = require("agent.formats.lines")
local lpeg = require("lpeg")

local C, Cc, Cp, P, R, S = lpeg.C, lpeg.Cc, lpeg.Cp, lpeg.P, lpeg.R, lpeg.S

local M = {}

local Reader = {}
Reader.__index = Reader

-- Items of one read(), besides its `max`: text passed over.
local SLICE = 32 * 1024

-- Status words by exit status; a plugin that has no performance data must name its own.
local words = { [0] = "OK", "WARNING", "CRITICAL", "UNKNOWN" }

-- Times become seconds. All else keeps its number and says its unit in a tag: KB and MB are powers of 1000 for
-- some plugins and of 1024 for others.
local seconds = { s = 1, ms = 1e3, us = 1e6, ns = 1e9 }

local white = S(" \t\r\n")
local digits = R("09")^1
local number = S("+-")^-1 * (digits * (P(".") * R("09")^0)^-1 + P(".") * digits) * (S("eE") * S("+-")^-1 * digits)^-1
local quoted = P("'") * C(((1 - S("'="))^1 + P("''"))^1) * P("'")
local bare = C((1 - S("= \t\r\n'"))^1)
local label = quoted + bare
local unit = C((1 - (S(";=") + white + R("09")))^0)
local limits = (P(";") * (1 - (P(";") + white))^0)^0
local item = label * P("=") * (C(number) * unit + P("U") * Cc(false) * Cc("")) * limits * (#white + -P(1)) * Cp()
local skip_white = white^0 * Cp()
local skip_word = (1 - white)^1 * Cp()

-- Where performance data is: behind the `|` of the first line to its end, and from the next `|` to the end.
local function regions(text)
  local first_end = text:find("\n", 1, true) or #text + 1
  local found, bar = {}, text:find("|", 1, true)
  if bar and bar < first_end then
    found[1] = { bar + 1, first_end - 1 }
    bar = text:find("|", first_end, true)
  end
  if bar then found[#found + 1] = { bar + 1, #text } end
  return found
end

local function to_metric(self, name, value, uom)
  local tags, factor = nil, seconds[uom]
  local clean = lines.name(name)
  if clean ~= name then tags = { label = name } end
  if uom ~= "" then
    tags = tags or {}
    tags.unit = factor and "s" or uom
  end
  return { name = self.prefix .. clean, value = factor and value / factor or value, tags = tags }
end

-- Labels have no `=` in them, so one can't be longer than the way to the next.
local function has_label(self)
  if self.equals < self.at then self.equals = self.text:find("=", self.at, true) or math.huge end
  return self.equals - self.at < lines.LINE_MAX
end

-- One item of performance data at self.at. Returns nothing, or the reason of its refusal and its name.
local function step(self, list)
  local text, at = self.text, self.at
  self.index = self.index + 1
  local name, value, uom, behind
  if has_label(self) then name, value, uom, behind = item:match(text, at) end
  self.at = behind or skip_word:match(text, at)
  if not name then return "not label=value" end
  name = name:gsub("''", "'")
  if not name:find("%S") then return "without a label" end
  if not value then return "value is unknown", name end
  value = lines.number(value)
  if not value then return "value is out of range", name end
  list[#list + 1] = to_metric(self, name, value, uom)
end

-- The next item's position, false at the end.
local function next_item(self)
  local region = self.regions[1]
  while region do
    self.at = skip_white:match(self.text, math.max(self.at, region[1]))
    if self.at <= region[2] then return true end
    table.remove(self.regions, 1)
    region = self.regions[1]
  end
  return false
end

--- As of agent.formats.lines: the state first, then an item of performance data each. An item is never an error of
--- the whole.
function Reader:read(list, max)
  if not self.told then
    self.told = true
    if words[self.code] then list[#list + 1] = { name = self.prefix .. "state", value = self.code } end
  end
  local far, full = self.at + SLICE, #list + max
  for _ = 1, max do
    if not next_item(self) then return false end
    if self.at >= far or #list >= full then return true end
    local why, name = step(self, list)
    if why then
      self.dropped = self.dropped + 1
      if self.refuse then self.refuse(self.index, name, why) end
    end
  end
  return next_item(self)
end

--- A reader of what a Nagios plugin printed: the metric `state` (0 to 3, the exit status), and one for each label
--- with its value; a label that isn't a name as it is comes as tag `label` too, a unit as tag `unit`. Bad items
--- are passed over, told to options.refuse(number of the item from 1, label | nil, reason).
---@param text string
---@param options? table { code = exit status, prefix = string?, refuse = function? }
function M.reader(text, options)
  options = options or {}
  return setmetatable({ text = text, code = options.code, prefix = options.prefix or "", refuse = options.refuse,
    regions = regions(text), at = 1, equals = 0, index = 0, dropped = 0 }, Reader)
end

-- Whether a word stands in the text by itself.
local function has_word(text, word)
  return text:find("%f[%w_]" .. word .. "%f[^%w_]") ~= nil
end

-- The lines where the status is named: mostly the first, but check_http complains in another before it.
local function opening(text)
  return text:match("^%s*([^\n]*\n?[^\n]*)"):sub(1, 1024)
end

--- Whether this is what a Nagios plugin prints: an exit status of 0 to 3 with performance data, or with a first or
--- second line that names the status.
---@param text string
---@param code integer exit status
---@return boolean
function M.is_output(text, code)
  if not words[code] then return false end
  for _, region in ipairs(regions(text)) do
    local at = skip_white:match(text, region[1])
    if at <= region[2] and item:match(text, at) then return true end
  end
  local first = opening(text)
  return has_word(first, words[code]) or (code == 1 and has_word(first, "WARN"))
    or (code == 2 and has_word(first, "CRIT"))
end

return M
