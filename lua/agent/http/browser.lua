-- Pages that a browser on this host shows must not use the API in its user's name (CSRF), nor by a name of
-- theirs that they point at this host (DNS rebinding). For TCP only: no browser speaks to a unix socket.

local M = {}

-- "[::1]:80", "name:80", "10.0.0.1" → the host without brackets and port, in lower case; nil for other forms.
local function host_of(authority)
  local text = authority:lower()
  local ip6 = text:match("^%[([%x:.]+)%]$") or text:match("^%[([%x:.]+)%]:%d+$")
  if ip6 then return ip6, true end
  return text:match("^([%w._-]+)$") or text:match("^([%w._-]+):%d+$"), false
end

local function is_ip4(host)
  local parts = { host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for _, part in ipairs(parts) do
    if #part > 3 or tonumber(part) > 255 then return false end
  end
  return #parts == 4
end

local function known_host(authority, hosts)
  local host, is_ip6 = host_of(authority)
  if not host then return false end
  if is_ip6 or is_ip4(host) or host == "localhost" then return true end
  for _, name in ipairs(hosts or {}) do
    if name:lower() == host then return true end
  end
  return false
end

--- Why a request that came by TCP is refused, or nil. `hosts`: names that the host is reached by.
---@param headers table<string, string>
---@param hosts? string[]
---@return string?
function M.refusal(headers, hosts)
  local host = headers.host
  if host and not known_host(host, hosts) then
    return "this host is not known by the name that was asked for; http.hosts lists the names it is known by"
  end
  local site = headers["sec-fetch-site"]
  if site and site ~= "same-origin" and site ~= "none" then return "not for pages of other sites" end
  local origin = headers.origin
  if origin and (not host or origin:lower():match("^https?://(.+)$") ~= host:lower()) then
    return "not for pages of another origin"
  end
end

return M
