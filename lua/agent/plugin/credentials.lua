-- The file agent.gittoken: who we are to a git server behind https.

local source = require("agent.plugin.source")

local M = {}

local USER = "oauth2" -- what servers take beside a bare token, whatever its value

local function decode(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- A line as git's own credential store writes it: https://user:password@host
local function of_store(line, place)
  local user, password, host = line:match("^https://([^:@/]*):([^@/]*)@([^@/]+)/?$")
  if host == place then return decode(user), decode(password) end
end

local function https_host(format)
  local authority = format:match("^https://([^/]+)/")
  return authority and authority:gsub("^.*@", "")
end

--- User and password for an https URL out of the file's text, or nil. A line "https://user:password@host" is for that
--- host; one that is only "token" or "user:token" is for the host that agent.git (`format`) names: an item could
--- name any host.
function M.find(text, url, format)
  local scheme, place = source.origin(url)
  if scheme ~= "https" then return nil end
  for line in text:gmatch("[^\r\n]+") do
    line = line:match("^%s*(.-)%s*$")
    if line:find("^https://") then
      local user, password = of_store(line, place)
      if user then return user, password end
    elseif line ~= "" and line:sub(1, 1) ~= "#" and place == https_host(format) then
      local user, token = line:match("^([^:]*):(.*)$")
      return user or USER, token or line
    end
  end
end

return M
