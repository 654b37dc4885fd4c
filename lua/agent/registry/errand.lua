-- One conversation with the registry: requests over one libcurl session, answers as checked envelopes,
-- errors that name the request. Blocks: for the registry worker.

local envelope = require("agent.registry.envelope")

local M = {}
M.__index = M

local MOST_HOPS = 3
local JSON = { "Content-Type: application/json;charset=utf-8", "Expect:" }

-- Where a URL leads to, to be compared: scheme, host and port.
local function origin(url)
  local scheme, authority = url:match("^(%a+)://([^/?#]*)")
  if not scheme then return nil end
  scheme = scheme:lower()
  local place = authority:match("[^@]*$"):lower()
  if not place:find(":%d+$") then place = place .. (scheme == "https" and ":443" or ":80") end
  return scheme .. "://" .. place
end
M.origin = origin

-- A password in a URL stays out of messages.
local function shown(url)
  return (url:gsub("^(%a+://)[^/@]*@", "%1"))
end

--- curl: the module. request: { base =, deadline_ms =, tls = { ca =, cert =, key = } | nil }.
function M.open(curl, request)
  local tls, url = request.tls or {}, request.base
  local session = assert(curl.open({
    deadline_ms = request.deadline_ms, max_body = 8 * 2 ^ 20, no_proxy = require("agent.worker.proxy").exception(url),
    ca_file = tls.ca or os.getenv("SSL_CERT_FILE"), ca_dir = os.getenv("SSL_CERT_DIR"),
    cert = tls.cert, key = tls.key, user_agent = "loda-agent/" .. require("host").build.version,
  }))
  return setmetatable({ session = session, base = url, pending = {},
    usage = { requests = 0, connections = 0, wire_bytes = 0 } }, M)
end

local function add(self, one)
  local id, why = self.session:add({ url = one.url, body = one.body, headers = one.body and JSON })
  if not id then error({ code = "failed", message = shown(one.url) .. ": " .. why }) end
  self.pending[id] = one
end

local function count(usage, result)
  usage.requests = usage.requests + 1
  usage.wire_bytes = usage.wire_bytes + result.wire_bytes
  if not result.reused then usage.connections = usage.connections + 1 end
end

-- Follows a redirect that stays on the same scheme, host and port; else nil, why not.
local function follow(self, one, result)
  local to = result.redirect
  if origin(to) ~= origin(one.url) then
    return nil, ("status %d: redirects to another host, %s"):format(result.status, shown(to):sub(1, 200))
  end
  if one.body and result.status < 307 then
    return nil, ("status %d: redirects a POST to a GET"):format(result.status)
  end
  one.hops = (one.hops or 0) + 1
  if one.hops > MOST_HOPS then return nil, ("status %d: redirects for ever"):format(result.status) end
  one.url = to
  add(self, one)
  return true
end

local function read(self, one, result)
  local label = (one.body and "POST " or "GET ") .. shown(one.url)
  local function failed(code, why, more)
    local err = more or {}
    err.code, err.message = code, label .. ": " .. why
    return { tag = one.tag, url = label, err = err }
  end
  if result.code then return failed(result.code, result.message) end
  if result.redirect then
    local followed, why = follow(self, one, result)
    return not followed and failed("redirect", why, { status = result.status }) or nil
  end
  local data, why, said = envelope.open(result.status, result.body)
  if data == nil then
    return failed(result.status == 200 and "envelope" or "status", why, { status = result.status, said = said })
  end
  return { tag = one.tag, url = label, body = result.body, data = data }
end

--- Iterates over the answers as they come: { tag =, url = for messages, data = see envelope.open(), body = its
--- JSON } or { tag =, url =, err = { code =, message =, status = of an answer, said = its msg } }.
function M:answers()
  return function()
    for id, result in function() return self.session:next() end do
      local one = self.pending[id]
      self.pending[id] = nil
      count(self.usage, result)
      local answer = read(self, one, result)
      if answer then return answer end
    end
  end
end

--- Queues a GET of a path; its answer carries the tag.
function M:get(path, tag)
  add(self, { url = self.base .. path, tag = tag })
end

--- Posts JSON and waits: the answer, or nil and err, as of answers(). Nothing else may be under way.
function M:post(path, body)
  add(self, { url = self.base .. path, body = body })
  local answer = self:answers()()
  if answer.err then return nil, answer.err end
  return answer
end

return M
