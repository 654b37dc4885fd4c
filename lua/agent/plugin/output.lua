-- What a plugin printed, whatever its format, as metrics. The parsers, and LPeg, are loaded when such output comes.

local M = {}

--- Entries that one run may have, good and bad.
M.MAX_ENTRIES = 10000

-- Refused ones that are kept with their reasons.
local KEPT = 20

-- Entries read in one turn of the loop: some milliseconds.
local SLICE = 300

-- Lines that are looked at to tell what text is, and the bytes that they are in.
local LINES_TRIED = 20
local BYTES_TRIED = 32 * 1024

local function is_json(text, at)
  return text:find("^%[%s*[%[{%]n\"%d-]", at) or text:find("^null%s*$", at) or text:find("^%[%s*$", at)
end

-- Positions of the first lines that have something in them; comments count where the caller says so.
local function first_lines(text, at)
  local left = LINES_TRIED
  return function()
    at = at and text:find("%S", at)
    left = left - 1
    if not at or left < 0 then return nil end
    local here = at
    at = text:find("\n", here, true)
    return here
  end
end

-- Formats that are made of lines, by the first of them that is one: of Prometheus' a sample where it is the first
-- that isn't a comment, or a comment that no other format has.
local function by_lines(text, at)
  local line, prometheus = require("agent.formats.line"), require("agent.formats.prometheus")
  local first = true
  for here in first_lines(text, at) do
    if line.is_line(text, here) then return "line", first end
    local kind = prometheus.kind_of(text, here)
    if kind == "comment" or (kind and first) then return "prometheus", first end
    if text:byte(here) ~= 35 then first = false end
  end
end

-- A measurement that is named like a status: the plugin speaks of its state.
local function says_status(text, at)
  local word = text:match("^%u+", at)
  return word == "OK" or word == "WARNING" or word == "CRITICAL" or word == "UNKNOWN"
end

--- What the text is by its content: "empty", "json", "line", "prometheus" or "nagios"; nil when none of them.
--- `before` is the answer of an earlier run: Nagios plugins that can't do their work may print
--- just a sentence.
---@param text string
---@param code integer exit status
---@param before? string
---@return string?
function M.detect(text, code, before)
  local whole = #text
  text = text:sub(1, BYTES_TRIED)
  local at = text:find("%S", text:find("^\239\187\191") and 4 or 1)
  if not at then return whole == #text and "empty" or nil end
  if is_json(text, at) then return "json" end
  local nagios = require("agent.formats.nagios")
  local format, first = by_lines(text, at)
  if format and first and not says_status(text, at) then return format end
  if nagios.is_output(text, code) then return "nagios" end
  if format then return format end
  local object = text:byte(at) == 123 or text:byte(at) == 91
  if object then return "json" end
  return before == "nagios" and code >= 0 and code <= 3 and "nagios" or nil
end

local function reader_of(format, text, code, refuse)
  if format == "json" then
    return require("host.metrics").reader(text, { prefix = "", refuse = refuse })
  end
  return require("agent.formats." .. format).reader(text, { code = code, refuse = refuse })
end

local function failure(message)
  return { code = "output", message = message }
end

-- The text's first line as a person may see it.
local function quote(text)
  local line = text:sub(1, 1024):match("%S[^\r\n]*") or "a lot of white space"
  if #line > 200 then line = line:sub(1, 200) .. "…" end
  return (line:gsub("%c", "?"))
end

-- Collects what is refused: the first ones with their reasons, of the others the number.
local function refusals()
  local refused = { count = 0 }
  return refused, function(index, name, reason)
    refused.count = refused.count + 1
    if #refused < KEPT then refused[#refused + 1] = { index = index, name = name, reason = reason } end
  end
end

local function finish(done, metrics, refused, format)
  if #metrics == 0 and refused.count > 0 then
    local first = refused[1]
    return done(failure(("nothing of it can be used; entry %d: %s"):format(first.index, first.reason)), nil, refused,
      format)
  end
  return done(nil, metrics, refused, format)
end

local function read_all(text, format, options, done)
  local metrics, refused, refuse = {}, refusals()
  local reader = reader_of(format, text, options.code, refuse)
  local function read_on()
    local more, why = reader:read(metrics, math.min(SLICE, M.MAX_ENTRIES - #metrics - refused.count))
    if more == nil then return done(failure(why), nil, refused, format) end
    if more and #metrics + refused.count >= M.MAX_ENTRIES then
      refuse(M.MAX_ENTRIES, nil, ("more than %d entries; the rest is not read"):format(M.MAX_ENTRIES))
      more = false
    end
    if more then return options.later(read_on) end
    return finish(done, metrics, refused, format)
  end
  return read_on()
end

--- Reads what a plugin wrote to its standard output, some milliseconds of work at a time.
---@param text string
---@param options table { code = exit status, later = fun(fn) that calls fn in another turn of the loop (libuv runs a
---  timer of 0 s in the same),
---  before = format of the plugin's last run that had one? }
---@param done fun(err: table?, metrics: table[]?, refused: table?, format: string?) once. err = { code = "output",
---  message } when nothing can be made of it. refused = { { index, name = string?, reason } … }, at most 20, with
---  their whole number as `count`; index: of a JSON array's entries from 0, else the line, or Nagios' item, from 1.
---  format as of detect(): a Nagios plugin's exit status of 1 to 3 is no failure of the run.
function M.read(text, options, done)
  local format = M.detect(text, options.code, options.before)
  if format == "empty" then return done(nil, {}, { count = 0 }, format) end
  if not format then
    return done(failure("neither JSON, line protocol, Prometheus nor Nagios output: " .. quote(text)), nil,
      { count = 0 })
  end
  return read_all(text, format, options, done)
end

return M
