-- Text for a terminal: what comes from outside made harmless, measured, cut and put into columns.

local M = {}

local UNKNOWN = "\239\191\189" -- U+FFFD, for what must not be shown as it is

-- First and last of code points that steer the terminal or the direction of writing, or can't be seen.
local harmful = { 0x80, 0x9f, 0xad, 0xad, 0x061c, 0x061c, 0x180e, 0x180e, 0x200b, 0x200f, 0x2028, 0x202e, 0x2060,
  0x206f, 0xd800, 0xdfff, 0xfeff, 0xfeff, 0xfff9, 0xfffb, 0xe0000, 0xe0fff }
local narrow = { 0x0300, 0x036f, 0x0483, 0x0489, 0x0591, 0x05bd, 0x0610, 0x061a, 0x064b, 0x065f, 0x0e34, 0x0e3a,
  0x0e47, 0x0e4e, 0x1ab0, 0x1aff, 0x1dc0, 0x1dff, 0x20d0, 0x20ff, 0xfe00, 0xfe0f, 0xfe20, 0xfe2f }
local wide = { 0x1100, 0x115f, 0x2e80, 0x303e, 0x3041, 0x4dbf, 0x4e00, 0xa4cf, 0xa960, 0xa97c, 0xac00, 0xd7a3,
  0xf900, 0xfaff, 0xfe30, 0xfe6f, 0xff00, 0xff60, 0xffe0, 0xffe6, 0x1f300, 0x1f64f, 0x1f680, 0x1f6ff, 0x1f900,
  0x1faff, 0x20000, 0x3fffd }

local function among(ranges, code)
  for i = 1, #ranges, 2 do
    if code < ranges[i] then return false end
    if code <= ranges[i + 1] then return true end
  end
  return false
end

local leads = { { 0xc2, 0xdf, 1, 0xc0, 0x80 }, { 0xe0, 0xef, 2, 0xe0, 0x800 }, { 0xf0, 0xf4, 3, 0xf0, 0x10000 } }

-- The code point that begins at byte i and its length; nil, 1 where there is none.
local function code_at(text, i)
  local byte = text:byte(i)
  if byte < 0x80 then return byte, 1 end
  for _, lead in ipairs(leads) do
    if byte >= lead[1] and byte <= lead[2] then
      local code = byte - lead[4]
      for k = 1, lead[3] do
        local following = text:byte(i + k)
        if not following or following < 0x80 or following > 0xbf then return nil, 1 end
        code = code * 64 + following - 0x80
      end
      if code < lead[5] or code > 0x10ffff then return nil, 1 end
      return code, lead[3] + 1
    end
  end
  return nil, 1
end

-- visit(code or nil, from, to) for each character.
local function each(text, visit)
  local i = 1
  while i <= #text do
    local code, length = code_at(text, i)
    if visit(code, i, i + length - 1) then return end
    i = i + length
  end
end

local function is_harmful(code)
  return not code or code < 0x20 or code == 0x7f or among(harmful, code)
end

--- The text as it may go to a terminal: valid UTF-8 without control characters. White space in it becomes a space;
--- `lines`: line feeds and tabs stay.
---@param text any
---@param lines? boolean
---@return string
function M.clean(text, lines)
  text = tostring(text)
  if not text:find("[%c\128-\255]") then return text end
  local parts = {}
  each(text, function(code, from, to)
    local kept = code and not is_harmful(code) or (lines and (code == 9 or code == 10))
    if kept then
      parts[#parts + 1] = text:sub(from, to)
    else
      parts[#parts + 1] = (code == 9 or code == 10 or code == 13) and " " or UNKNOWN
    end
  end)
  return table.concat(parts)
end

--- JSON text that means the same and holds no control character but line feeds and tabs: they may stand in strings
--- only, where an escape says them, too.
function M.clean_json(text)
  if not text:find("[%z\1-\8\11-\31\127-\255]") then return text end
  local parts = {}
  each(text, function(code, from, to)
    local part = text:sub(from, to)
    if not code then
      part = "\\ufffd"
    elseif code ~= 9 and code ~= 10 and is_harmful(code) and code < 0x10000 then
      part = ("\\u%04x"):format(code)
    end
    parts[#parts + 1] = part
  end)
  return table.concat(parts)
end

local function width_of(code)
  if not code or code < 0x300 then return 1 end
  if among(narrow, code) then return 0 end
  return among(wide, code) and 2 or 1
end

--- Columns that a clean text takes.
---@return integer
function M.width(text)
  if not text:find("[\128-\255]") then return #text end
  local width = 0
  each(text, function(code) width = width + width_of(code) end)
  return width
end

--- At most `width` columns of a clean text; where it is cut there is a "…". nil for width: all of it.
function M.cut(text, width)
  if not width or M.width(text) <= width then return text end
  if width < 1 then return "" end
  local used, last = 0, 0
  each(text, function(code, _, to)
    local more = width_of(code)
    if used + more > width - 1 then return true end
    used, last = used + more, to
  end)
  return text:sub(1, last) .. "…"
end

--- Exactly `width` columns, flush left, or flush right with `right`.
function M.pad(text, width, right)
  text = M.cut(text, width)
  local space = (" "):rep(width - M.width(text))
  return right and space .. text or text .. space
end

-- The widths of the columns, of which the widest flexible one gives way until all fit.
local function widths_of(rows, columns, width)
  local widths, total = {}, 0
  for i in ipairs(columns) do
    widths[i] = 0
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], M.width(row[i])) end
    total = total + widths[i] + (i > 1 and 2 or 0)
  end
  while width and total > width do
    local widest
    for i, column in ipairs(columns) do
      if column.flexible and widths[i] > 8 and (not widest or widths[i] > widths[widest]) then widest = i end
    end
    if not widest then break end
    widths[widest], total = widths[widest] - 1, total - 1
  end
  return widths
end

--- Rows as lines. columns: { { title =, right = bool, flexible = bool (may be cut to fit) } … }; rows: arrays of cells
--- (anything; nil is empty). The head is left out with `bare`. No line is wider than `width`, where that is given.
---@return string[]
function M.columns(columns, rows, width, bare)
  local cells = {}
  if not bare then
    cells[1] = {}
    for i, column in ipairs(columns) do cells[1][i] = column.title end
  end
  for _, row in ipairs(rows) do
    local clean = {}
    for i in ipairs(columns) do clean[i] = row[i] == nil and "" or M.clean(row[i]) end
    cells[#cells + 1] = clean
  end
  local widths, lines = widths_of(cells, columns, width), {}
  for k, row in ipairs(cells) do
    local parts = {}
    for i, column in ipairs(columns) do parts[i] = M.pad(row[i], widths[i], column.right) end
    lines[k] = M.cut(table.concat(parts, "  "):gsub("%s+$", ""), width)
  end
  return lines
end

-- Not of the kind that was expected: shown as unknown.
local function number(value)
  return type(value) == "number" and value == value and math.abs(value) ~= math.huge and value or nil
end

--- Seconds for a person: "0.3 s", "12 s", "5 min", "3 h 20 min", "2 d 4 h"; "-" for none.
function M.duration(seconds)
  seconds = number(seconds)
  if not seconds then return "-" end
  if seconds < 0 then return "0 s" end
  if seconds < 10 and seconds % 1 ~= 0 then return ("%.1f s"):format(seconds) end
  seconds = math.floor(seconds)
  if seconds < 120 then return ("%d s"):format(seconds) end
  local minutes = math.floor(seconds / 60)
  if minutes < 60 then return ("%d min"):format(minutes) end
  local hours = math.floor(minutes / 60)
  if hours < 24 then return ("%d h %d min"):format(hours, minutes % 60) end
  return ("%d d %d h"):format(math.floor(hours / 24), hours % 24)
end

--- Milliseconds: "0.42 ms", "17 ms", "1.3 s"; "-" for none.
function M.milliseconds(ms)
  ms = number(ms)
  if not ms then return "-" end
  if ms < 10 then return ("%.2f ms"):format(ms) end
  if ms < 1000 then return ("%.0f ms"):format(ms) end
  return ("%.1f s"):format(ms / 1000)
end

--- Bytes: "512 B", "3.4 MiB"; "-" for none.
function M.bytes(bytes)
  bytes = number(bytes)
  if not bytes then return "-" end
  if math.abs(bytes) < 1024 then return ("%d B"):format(bytes) end
  for _, unit in ipairs({ "KiB", "MiB", "GiB" }) do
    bytes = bytes / 1024
    if math.abs(bytes) < 1024 or unit == "GiB" then return ("%.1f %s"):format(bytes, unit) end
  end
end

--- A number of things: "1,234,567"; "-" for none.
function M.count(n)
  n = number(n)
  if not n then return "-" end
  local digits = ("%.0f"):format(n)
  local grouped = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (grouped:gsub("^(%-?),", "%1"))
end

--- The value when it is a number that can be shown, or nil.
M.number = number

return M
