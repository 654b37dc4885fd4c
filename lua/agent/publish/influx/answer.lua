-- What an answer of InfluxDB to a write means (contracts.md §7.2, §7.3). Everything in it is outside input.

local cjson = require("cjson")

local M = {}

local SAID_MAX = 300

-- Why the server refused a point, by what it says; the first that fits.
local causes = {
  { "field type conflict", "type_conflict" },
  { "unable to parse", "unparsable" },
  { "beyond retention policy", "retention" },
  { "limit exceeded", "limit" },
  { "max%-series%-per%-database", "limit" },
  { "partial write", "refused" },
}

local function cause_of(text)
  for _, cause in ipairs(causes) do
    if text:find(cause[1]) then return cause[2] end
  end
end

--- What the server said for a person, in one short line: the `error` of 1.x, the `message` of 2.x, else the text.
function M.said(body)
  local text = body or ""
  if text:find("^%s*{") then
    local ok, found = pcall(cjson.decode, text)
    if ok and type(found) == "table" then
      for _, key in ipairs({ "error", "message" }) do
        if type(found[key]) == "string" then text = found[key] end
      end
    end
  end
  return text
end

local function short(text)
  text = text:gsub("%c+", " "):match("^%s*(.-)%s*$")
  return #text > SAID_MAX and text:sub(1, SAID_MAX) .. "…" or text
end

local function occurrences(text, pattern)
  return (select(2, text:gsub(pattern, "")))
end

-- How many of n lines a partial write left out. What the server couldn't parse is listed, the others are counted.
local function lost_of(text, n)
  local lost = occurrences(text, "unable to parse")
  for number in text:gmatch("dropped=(%d+)") do lost = lost + tonumber(number) end
  return math.max(1, math.min(lost, n))
end

local function keep(result, text)
  local where = result.redirect and " to " .. result.redirect:gsub("//[^/@]*@", "//") or ""
  return { kind = "keep", code = "HTTP_" .. result.status, retry_after = result.retry_after,
    message = ("status %d%s%s"):format(result.status, where, text ~= "" and ": " .. short(text) or "") }
end

--- result: of curl, n: lines that were sent, v2: by the API of 2.x. Returns one of
---   { kind = "stored", lost = 0 … n, cause =, why = }   the others are in the database
---   { kind = "create" }                                 there is no such database
---   { kind = "search", cause = | nil, why =, text = }   refused as a whole, some of the lines are to blame; or,
---                                                       without a cause, perhaps the server is
---   { kind = "keep", code =, message =, retry_after = } not now, or not by this configuration
function M.judge(result, n, v2)
  if result.code and not (result.code == "too_large" and result.status >= 400) then
    return { kind = "keep", code = result.code, message = result.message or result.code }
  end
  local status, text = result.status, M.said(result.body)
  if status >= 200 and status < 300 then return { kind = "stored", lost = 0 } end
  local cause, why = cause_of(text), short(text)
  if status == 404 and not v2 and text:find("database not found", 1, true) then return { kind = "create" } end
  if status == 422 or (status == 400 and text:find("partial write", 1, true)) then
    return { kind = "stored", lost = lost_of(text, n), cause = cause or "refused", why = why }
  end
  if status == 400 and not v2 and occurrences(text, "unable to parse") >= n then
    return { kind = "stored", lost = n, cause = cause, why = why }
  end
  if status == 413 then return { kind = "search", cause = "too_large", why = "status 413 " .. why, text = "" } end
  if status == 400 then return { kind = "search", cause = cause, why = why, text = text } end
  return keep(result, text)
end

return M
