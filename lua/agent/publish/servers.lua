-- The servers of an output: from what the configuration says to addresses to connect to, in an order
-- that is random but visits every server before one twice.

local M = {}

local default_port = { tcp = 4150, http = 4151, https = 4152 }

--- "tcp://host:port", "http://host:port", "https://…" or "host:port" (= http), an IPv6 address in brackets; without
--- a port nsqd's usual one. Returns { scheme, host, port, name } or nil, message, "EINVAL".
function M.parse(text)
  local scheme, rest = text:match("^(%a+)://(.*)$")
  scheme, rest = (scheme or "http"):lower(), (rest or text):gsub("/$", "")
  local host, port = rest:match("^%[([%x:.]+)%]:?(%d*)$")
  if not host then host, port = rest:match("^([%w_.-]+):?(%d*)$") end
  local number = port == "" and default_port[scheme] or tonumber(port)
  if not default_port[scheme] then
    return nil, ("server %s: tcp://, http:// and https:// are spoken, %s:// is not"):format(text, scheme), "EINVAL"
  end
  if not host or not number or number < 1 or number > 65535 then
    return nil, ("server %s is not tcp://host:port, http[s]://host:port or host:port"):format(text), "EINVAL"
  end
  local shown = host:find(":", 1, true) and "[" .. host .. "]" or host
  return { scheme = scheme, host = host, port = number, name = ("%s://%s:%d"):format(scheme, shown, number) }
end

local function shuffle(list, random)
  for i = #list, 2, -1 do
    local j = math.floor(random() * i) + 1
    list[i], list[j] = list[j], list[i]
  end
end

--- A function that returns the next server each time. random() is from [0, 1).
function M.rotation(servers, random)
  local order, at = { unpack(servers) }, #servers
  return function()
    if at == #order then
      local last = order[at]
      shuffle(order, random)
      if order[1] == last then order[1], order[#order] = order[#order], order[1] end
      at = 0
    end
    at = at + 1
    return order[at]
  end
end

--- The addresses of a server now, to callback(err, { { ip, port } … }). Numeric ones and localhost at once,
--- names by the resolve worker. Returns the worker's handle or nil.
function M.resolve(server, callback)
  local host, port = server.host, server.port
  if host:find(":", 1, true) or host:match("^%d+%.%d+%.%d+%.%d+$") then
    return callback(nil, { { ip = host, port = port } })
  elseif host == "localhost" then
    return callback(nil, { { ip = "127.0.0.1", port = port }, { ip = "::1", port = port } })
  end
  local client = require("agent.worker.client")
  return client.run("resolve", { host = host, port = port }, { deadline_ms = 5000 },
    function(err, found)
      local addresses = {}
      for i, entry in ipairs(found or {}) do addresses[i] = { ip = entry.addr, port = port } end
      callback(err, addresses)
    end)
end

return M
