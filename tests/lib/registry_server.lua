-- A registry for tests: speaks the envelope of contracts.md §1 on loopback, and misbehaves where a test scripts
-- it to. Runs on the loop of the test.
--
--   local server = registry.start({ ["web.shop.loda"] = { { name = "cpu.idle", measurement_type = "CPU" } } })
--   server:script("GET .*ns=web", registry.status(500, "node not found"))
--   … server.address, server.requests (method, target, headers, body), server.connections …
--   server:close()

local cjson = require("cjson")
local gzip = require("gzip")
local uv = require("luv")

local M = {}
local Server = {}
Server.__index = Server

-- The id of a namespace: stable, and of the shape that the real registry's have.
function M.id(ns)
  return ("%08x-0000-4000-8000-%012x"):format(#ns, #ns)
end

local function list(items, encode)
  local parts = {}
  for i, item in ipairs(items) do parts[i] = encode(item) end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- An envelope around data, which is JSON text (default null).
function M.envelope(data, status, msg)
  return ('{"httpstatus":%d,"data":%s,"msg":%s}'):format(status or 200, data or "null", cjson.encode(msg or ""))
end

local function http(status, body, fields)
  return ("HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s")
    :format(status, #body, fields or "", body)
end

-- Behaviours: function(peer, request). peer.write(bytes, done), peer.close().

function M.status(status, msg)
  return function(peer) peer.write(http(status, M.envelope(nil, status, msg))) end
end

--- 200 with these bytes as the body.
function M.body(body, fields)
  return function(peer) peer.write(http(200, body, fields)) end
end

--- 200 and an envelope around data (JSON text).
function M.data(data)
  return M.body(M.envelope(data))
end

function M.hang() end

function M.drop(peer) peer.close() end

--- Announces more than it sends, then closes.
function M.cut(peer)
  peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" .. '{"httpstatus":200,"data":[{', peer.close)
end

--- So many bytes of JSON, by Content-Length or, where it is not told, until the connection closes.
function M.giant(bytes, untold)
  return function(peer)
    local length = untold and "" or ("Content-Length: %d\r\n"):format(bytes)
    peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\n" .. length .. "\r\n" .. ("["):rep(bytes), peer.close)
  end
end

--- Header lines without an end.
function M.endless_head(peer)
  local function more() peer.write(("X-More: " .. ("x"):rep(1000) .. "\r\n"):rep(64), more) end
  peer.write("HTTP/1.1 200 OK\r\n", more)
end

function M.redirect(status, to)
  local answer = ("HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(status, to)
  return function(peer) peer.write(answer) end
end

--- The body of another behaviour's kind, compressed by gzip(1): body → a body that gunzips to it.
function M.gzip(body)
  return M.body(gzip.pack(body), "Content-Encoding: gzip\r\n")
end

--- One byte each `ms` milliseconds.
function M.slow(ms, body)
  return function(peer)
    local bytes, sent, timer = http(200, body), 0, uv.new_timer()
    peer.on_close = function() timer:close() end
    timer:start(0, ms, function()
      sent = sent + 1
      peer.write(bytes:sub(sent, sent))
      if sent == #bytes then
        timer:close()
        peer.on_close = nil
      end
    end)
  end
end

--- The right answer, after so many milliseconds.
function M.late(ms)
  return function(peer, request, server)
    local timer = uv.new_timer()
    peer.on_close = function() timer:close() end
    timer:start(ms, 0, function()
      timer:close()
      peer.on_close = nil
      server:answer(peer, request)
    end)
  end
end

function Server:answer_namespaces(peer, request)
  local asked = cjson.decode(request.body)
  if asked.hostname == nil or asked.hostname == "" then
    return M.status(400, "invalid infomation")(peer)
  end
  local parts = {}
  for ns in pairs(self.namespaces) do parts[#parts + 1] = ("%q:%q"):format(ns, M.id(ns)) end
  self.machines[asked.hostname] = true
  M.data("{" .. table.concat(parts, ",") .. "}")(peer)
end

function Server:answer_report(peer, request)
  local report = cjson.decode(request.body)
  if report.update and not self.machines[report.oldhostname] then
    return M.status(500, "machine not found")(peer)
  end
  if report.update then
    self.machines[report.oldhostname] = nil
    self.machines[report.newhostname] = true
  end
  self.reports[#self.reports + 1] = report
  M.body(M.envelope(nil, 200, "success"))(peer)
end

--- The right answer to a request.
function Server:answer(peer, request)
  if request.target == "/api/v1/agent/ns" then return self:answer_namespaces(peer, request) end
  if request.target == "/api/v1/agent/report" then return self:answer_report(peer, request) end
  local ns = request.target:match("^/api/v1/agent/resource%?ns=([^&]*)&type=collect$")
  local items = ns and self.namespaces[ns]
  if not items then return M.status(500, "node not found")(peer) end
  M.data(list(items, cjson.encode))(peer)
end

--- From now on requests whose "METHOD /target" matches the pattern are answered by the behaviour; nil: rightly again.
function Server:script(pattern, behaviour)
  for i, one in ipairs(self.scripts) do
    if one.pattern == pattern then table.remove(self.scripts, i) end
  end
  if behaviour then table.insert(self.scripts, 1, { pattern = pattern, behaviour = behaviour }) end
end

function Server:serve(peer, request)
  self.requests[#self.requests + 1] = request
  for _, one in ipairs(self.scripts) do
    if (request.method .. " " .. request.target):find(one.pattern) then
      return one.behaviour(peer, request, self)
    end
  end
  self:answer(peer, request)
end

-- Takes whole requests off the bytes received; returns the rest.
local function consume(self, peer, input)
  while true do
    local head, rest = input:match("^(.-\r\n)\r\n(.*)$")
    if not head then return input end
    local request = { headers = {} }
    request.method, request.target = head:match("^(%u+) (%S+)")
    for name, value in head:gmatch("\n([^:\r\n]+): *([^\r\n]*)") do request.headers[name:lower()] = value end
    local length = tonumber(request.headers["content-length"] or 0)
    if #rest < length then return input end
    request.body, input = rest:sub(1, length), rest:sub(length + 1)
    self:serve(peer, request)
  end
end

-- Serves one connection: a stream to read from and one to write to, which may be the same.
local function attach(self, from, to)
  local input, peer = "", {}
  function peer.write(bytes, done)
    if not to:is_closing() then to:write(bytes, function() if done and not to:is_closing() then done() end end) end
  end
  function peer.close()
    if peer.on_close then peer.on_close() end
    peer.on_close = nil
    for _, stream in ipairs({ from, to }) do
      if not stream:is_closing() then stream:close() end
    end
    self.peers[peer] = nil
  end
  self.connections = self.connections + 1
  self.peers[peer] = true
  from:read_start(function(_, chunk)
    if not chunk then return peer.close() end
    input = consume(self, peer, input .. chunk)
  end)
end

local function new(namespaces)
  return setmetatable({ namespaces = namespaces or {}, scripts = {}, requests = {}, reports = {}, machines = {},
    peers = {}, connections = 0 }, Server)
end

--- Starts one on a free port (or the given one); namespaces: { [ns] = { item, … } }, may be changed at any time.
function M.start(namespaces, port)
  local self, listener = new(namespaces), uv.new_tcp()
  assert(listener:bind("127.0.0.1", port or 0))
  assert(listener:listen(128, function()
    local tcp = uv.new_tcp()
    listener:accept(tcp)
    attach(self, tcp, tcp)
  end))
  self.listener = listener
  self.port = listener:getsockname().port
  self.address = "http://127.0.0.1:" .. self.port
  return self
end

--- The same behind TLS: openssl s_server ARGS in front, one connection at a time, gone with this process.
function M.start_tls(namespaces, port, args)
  local self = new(namespaces)
  local stdin, stdout = uv.new_pipe(false), uv.new_pipe(false)
  local argv = { "--pdeathsig", "KILL", "openssl", "s_server", "-quiet", "-accept", "127.0.0.1:" .. port }
  for _, one in ipairs(args) do argv[#argv + 1] = one end
  local process, pid
  process, pid = uv.spawn("setpriv", { args = argv, stdio = { stdin, stdout, nil } },
    function() process:close() end)
  self.process = assert(process, pid)
  attach(self, stdout, stdin)
  self.port = port
  self.address = "https://localhost:" .. port
  return self
end

--- Drops everything at once.
function Server:close()
  for peer in pairs(self.peers) do peer.close() end
  if self.listener and not self.listener:is_closing() then self.listener:close() end
  if self.process and not self.process:is_closing() then self.process:kill("sigkill") end
  uv.run("nowait")
end

return M
