-- HTTP requests of a run: libcurl's multi interface, driven by the loop, so that hundreds wait at once. Loaded
-- when the first is made: it weighs several MiB.

local resolve = require("agent.worker.builtin.resolve")
local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local BODY, LARGEST_BODY, AT_ONCE = 2 ^ 20, 2 ^ 23, 200

local multi, timer
local answers = {} -- by the id of a request

-- After whatever may have moved libcurl on: its next deadline, and what is over.
local function settle()
  local wait = multi:timeout()
  if wait then
    uv.update_time()
    timer:start(wait, 0, function()
      multi:act(true)
      settle()
    end)
  else
    timer:stop()
  end
  for id, result in function() return multi:next() end do
    local answer = answers[id]
    answers[id] = nil
    if answer then answer(result) end
  end
end

local function open()
  if multi then return end
  multi = assert(require("curl").multi())
  timer = uv.new_timer()
  uv.new_poll(multi:fd()):start("r", function()
    multi:act()
    settle()
  end)
end

local function perform(request, seconds)
  local result, why, code = run.await(request.url, seconds, function(answer)
    local id, wrong, kind = multi:add(request)
    if not id then return answer(nil, wrong, kind) end
    answers[id] = answer
    settle()
    return function()
      answers[id] = nil
      multi:remove(id)
      settle()
    end
  end)
  if not result then return nil, why, code end
  return result
end

local function header_lines(headers)
  local lines = {}
  for name, value in pairs(headers or {}) do
    local line = type(name) == "number" and tostring(value) or ("%s: %s"):format(name, tostring(value))
    if line:find("[%c]") then error("http: a header holds a control character", 4) end
    lines[#lines + 1] = line
  end
  return lines
end

local months = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11,
  Dec = 12 }

-- Days since 1970-01-01 of a date in the proleptic Gregorian calendar: the usual count from March on.
local function days_of(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400) +
    math.floor((153 * month - 457) / 5) + day - 719469 -- 719469: the same sum for 1970-01-01
end

--- "Nov 22 17:29:16 2026 GMT", as OpenSSL writes it, in unix seconds.
function M.certificate_time(text)
  local month, day, h, m, s, year = text:match("(%a%a%a) +(%d+) (%d+):(%d+):(%d+) (%d+) GMT")
  if not months[month] then return nil end
  return days_of(tonumber(year), months[month], tonumber(day)) * 86400 + h * 3600 + m * 60 + s
end

local function headers_of(text)
  local headers = {}
  -- The last block counts: those before it are answers 100 or redirects.
  for line in text:gmatch("[^\r\n]+") do
    if line:find("^HTTP/%S+ ") then
      headers = {}
    else
      local name, value = line:match("^([^:%s]+):%s*(.-)%s*$")
      if name then
        name = name:lower()
        headers[name] = headers[name] and headers[name] .. ", " .. value or value
      end
    end
  end
  return headers
end

local function answer_of(result, resolving)
  local expires = result.certificate and M.certificate_time(result.certificate)
  return {
    status = result.status, body = result.body or "", headers = headers_of(result.head or ""),
    version = result.version, address = result.address, certificate_expires = expires,
    times = { dns = resolving, connect = result.connect + resolving,
      tls = result.tls > 0 and result.tls + resolving or 0, first_byte = result.first_byte + resolving,
      total = result.total + resolving },
  }
end

local function parts(url)
  local scheme, authority = url:match("^(https?)://([^/?#]+)")
  if not scheme then return nil end
  authority = authority:gsub("^.*@", "")
  local host, port = authority:match("^%[(.-)%]:?(%d*)$")
  if not host then host, port = authority:match("^([^:]+):?(%d*)$") end
  if not host then return nil end
  return { host = host, port = tonumber(port) or (scheme == "https" and 443 or 80) }
end

local function request_of(given)
  return {
    url = given.url, method = given.method, body = given.body, headers = header_lines(given.headers),
    max_body = math.min(given.max_body or BODY, LARGEST_BODY), unix = given.unix, insecure = given.verify == false,
    ca_file = given.ca_file, certificate = given.certificate, key = given.key, user = given.user,
    follow = given.redirects or 0,
  }
end

-- One address after the other, until one can be connected to.
local function try_addresses(request, where, list, seconds)
  local result, why, code
  for _, address in ipairs(list) do
    request.connect_to = not resolve.is_address(where.host) and
      ("%s:%d:%s:%d"):format(where.host, where.port, address:find(":") and "[" .. address .. "]" or address, where.port)
      or nil
    result, why, code = perform(request, seconds)
    if not result then return nil, why, code end
    if result.code ~= "connect" then return result end
  end
  return result
end

--- ctx.http: { url =, method =, headers =, body =, timeout = (10 s), max_body = (1 MiB), unix = path of a socket,
--- verify = false, ca_file =, certificate =, key =, user = "name:password", redirects = how many are followed (0) }
--- → { status, headers, body, times, certificate_expires, address }; nil, message, code.
function M.request(given)
  if type(given) ~= "table" or type(given.url) ~= "string" then error("http: a table with an url is wanted", 3) end
  local where = parts(given.url)
  if not where then return nil, given.url .. ": no http:// or https:// URL", "url" end
  local request = request_of(given)
  local began, seconds = run.now(), given.timeout or 10
  local list, why, code = { where.host }, nil, nil
  if not given.unix then list, why, code = resolve.addresses(where.host, seconds) end
  if not list then return nil, why, code end
  local resolving = run.now() - began
  open()
  if multi:count() >= AT_ONCE then return nil, "200 requests are under way already", "busy" end
  local result
  result, why, code = try_addresses(request, where, list, math.max(0.001, seconds - resolving))
  if not result then return nil, why, code end
  if result.code then return nil, result.message, result.code end
  return answer_of(result, resolving)
end

return M
