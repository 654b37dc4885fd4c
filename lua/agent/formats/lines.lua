-- What the readers of formats that are made of lines share: one line after the other, so much at a time,
-- and bad ones refused one by one.

local M = {}

local Lines = {}
Lines.__index = Lines

--- Bytes of a line, tags and fields of one: more is refused, for a line is read in one go.
M.LINE_MAX = 32 * 1024
M.TAGS_MAX = 256
M.FIELDS_MAX = 1024

-- Bytes that one read() begins lines in.
local SLICE = 32 * 1024

-- Bytes between lines that are passed over in one go.
local BLANK = 4 * 1024

--- A name that a measurement may have: each other byte than 0-9 A-Z a-z - _ . becomes `_`.
function M.name(text)
  return (text:gsub("[^%w%-_.]", "_"))
end

--- What a double can hold of decimal text; nil when it is too large, which tonumber() alone says in two ways.
function M.number(text)
  local number = tonumber((text:gsub("^%+", "")))
  return number and math.abs(number) < math.huge and number or nil
end

--- The text of a time stamp in seconds, milliseconds, microseconds or nanoseconds, which its magnitude tells, as whole
--- seconds. nil where that is no time.
function M.seconds(text)
  local number = M.number(text)
  local size = math.abs(number or math.huge)
  if size >= 1e20 then return nil end
  if size >= 1e17 then
    number = number / 1e9
  elseif size >= 1e14 then
    number = number / 1e6
  elseif size >= 1e11 then
    number = number / 1e3
  end
  return math.floor(number)
end

--- Tags from { key, value, key, value … }, nil where there are none; nil and the reason where they can't be.
--- One with nothing but white space to say is left out, as it is not to be told from one that isn't there; a key
--- that InfluxDB has reserved gets a `_` behind it.
function M.tags(pairs_of)
  local tags
  if #pairs_of > 2 * M.TAGS_MAX then return nil, ("more than %d tags"):format(M.TAGS_MAX) end
  for i = 1, #pairs_of, 2 do
    local key, value = pairs_of[i], pairs_of[i + 1]
    if key == "time" or key == "_field" or key == "_measurement" then key = key .. "_" end
    tags = tags or {}
    if tags[key] then return nil, ("tag %s is there twice"):format(key) end
    tags[key] = value
  end
  for key, value in pairs(tags or {}) do
    if not value:find("%S") then tags[key] = nil end
  end
  return tags and next(tags) and tags
end

--- A reader of `text`; options: prefix of the names, default none; refuse(index, name | nil, reason): with it bad
--- lines are passed over one by one and told, without it the first one ends the reading.
--- parse(self, at, list): appends the metrics of the line at `at`; returns the position behind it, or nil, the
--- reason, and the name as far as it is known.
function M.reader(text, options, parse)
  options = options or {}
  return setmetatable({ text = text, prefix = options.prefix or "", refuse = options.refuse, parse = parse, at = 1,
    line = 1, dropped = 0 }, Lines)
end

--- A value that is well-formed but can't be published, NaN for one: told, where somebody listens, and counted,
--- but not an error.
function Lines:drop(name, reason)
  self.dropped = self.dropped + 1
  if self.refuse then self.refuse(self.line, name, reason) end
end

local function newlines(text, from, to)
  return select(2, text:sub(from, to):gsub("\n", "\n"))
end

local function skip_blank(self)
  local at = self.at
  local _, last = self.text:sub(at, at + BLANK - 1):find("^[ \t\r\n]*")
  self.at = at + last
  self.line = self.line + newlines(self.text, at, self.at - 1)
end

-- One line, or the white space before it. Returns nothing, or the reason of its refusal and its name.
local function step(self, list)
  local text, at = self.text, self.at
  local byte = text:byte(at)
  if byte == 10 or byte == 32 or byte == 13 or byte == 9 then return skip_blank(self) end
  local stop = text:find("\n", at, true) or #text + 1
  local behind, why, name
  if stop - at > M.LINE_MAX then
    why = ("longer than %d bytes"):format(M.LINE_MAX)
  else
    behind, why, name = self:parse(at, list)
  end
  self.at = behind or stop + 1
  if why then return why, name end
  self.line = self.line + (self.at == stop + 1 and 1 or newlines(text, at, self.at - 1))
end

-- nil to go on, else what read() returns.
local function refuse(self, why, name)
  if not self.refuse then
    self.failure = ("line %d: %s"):format(self.line, why)
    return self.failure
  end
  self.refuse(self.line, name, why)
  self.line = self.line + 1
end

--- Appends metrics to `list`: about `max` of them, of as many lines at most and some ten KiB of text. Returns
--- true when there may be more, false at the end; nil, message, "EFORMAT" where a line is refused (without
--- options.refuse), and always the same again after that.
function Lines:read(list, max)
  if self.failure then return nil, self.failure, "EFORMAT" end
  local far, full = self.at + SLICE, #list + max
  for _ = 1, max do
    if self.at > #self.text then return false end
    if self.at >= far or #list >= full then return true end
    local why, name = step(self, list)
    if why and refuse(self, why, name) then return nil, self.failure, "EFORMAT" end
  end
  return self.at <= #self.text
end

return M
