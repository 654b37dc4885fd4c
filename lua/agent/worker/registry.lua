-- Worker registry: one conversation with the registry over HTTP (contracts.md §1.1–1.3), with libcurl.

local curl = require("curl")
local envelope = require("agent.registry.envelope")
local errand = require("agent.registry.errand")
local host = require("host")
local identity = require("agent.registry.identity")
local uv = require("luv")

local CHUNK = 200 -- items of one frame, so that who reads them never stops for long

local function who_am_i(request)
  local list = assert(require("host.addresses").list())
  if request.hostname == "" then error({ code = "hostname", message = "this machine has no host name" }) end
  return identity.read({ hostname = request.hostname, addresses = list, ifaceprefix = request.ifaceprefix,
    pluginsdir = request.pluginsdir, sysfs = request.sysfs })
end

local function report_body(who, request)
  local report = require("agent.registry.report")
  return report.body(who, request.state or {}, host.build, report.time(uv.gettimeofday()))
end

-- Reports; true, or nil and why not. A machine that isn't registered under its old name has nothing that could be
-- renamed: it is reported under its new one.
local function report(talk, who, request)
  local function send() return talk:post("/api/v1/agent/report", report_body(who, request)) end
  local _, err = send()
  if err and err.status == 500 and who.renamed and (err.said or ""):find("machine not found", 1, true) then
    local old = who.old_hostname
    who.old_hostname = who.hostname
    local _, again = send()
    who.old_hostname, err = old, again and err
  end
  if err then return nil, err end
  identity.remember(who, request.pluginsdir)
  return true
end

local function emit_items(ns, items, emit)
  for first = 1, #items, CHUNK do
    emit({ ns = ns, items = { unpack(items, first, math.min(#items, first + CHUNK - 1)) } })
  end
end

-- What is to be said about one namespace: { error = } | { digest =, same = true } | { digest =, count = }.
local function read_namespace(ns, answer, known, emit)
  if answer.err then return { error = { code = answer.err.code, message = answer.err.message } } end
  local digest = envelope.digest(answer.body)
  if known and known[ns] == digest then return { digest = digest, same = true } end
  local items, why = envelope.items(answer.data)
  if not items then return { error = { code = "envelope", message = answer.url .. ": " .. why } } end
  emit_items(ns, items, emit)
  return { digest = digest, count = #items }
end

local function escape(text)
  return (text:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function resources(talk, ids, request, emit)
  local found = {}
  for ns in pairs(ids) do talk:get("/api/v1/agent/resource?ns=" .. escape(ns) .. "&type=collect", ns) end
  for answer in talk:answers() do
    found[answer.tag] = read_namespace(answer.tag, answer, request.known, emit)
  end
  return found
end

-- A new name is reported before anything is asked under it: the registry renames the machine then, and does not
-- register it a second time. Where the report is refused, asking under the new name is the way on.
local function announce(talk, who, request)
  if not who.renamed or request.insist then return nil end
  local ok, err = report(talk, who, request)
  if ok then return nil end
  local message = ("host name changed from %s to %s, not taken: %s")
    :format(who.old_hostname, who.hostname, err.message)
  if not err.status then error({ code = "renamed", message = message }) end
  return message
end

local function fetch(talk, request, emit)
  local who = who_am_i(request)
  local renaming = announce(talk, who, request)
  local encode = require("cjson").encode
  local body = ('{"hostname":%s,"ip":%s,"sn":%s}')
    :format(encode(who.hostname), encode(table.concat(who.ips, ",")), encode(who.sn))
  local answer, err = talk:post("/api/v1/agent/ns", body)
  if not answer then error(err) end
  local ids, wrong = envelope.namespaces(answer.data)
  if not ids then error({ code = "envelope", message = answer.url .. ": " .. wrong }) end
  local found = resources(talk, ids, request, emit)
  for ns, why in pairs(wrong) do found[ns] = { error = { code = "namespace", message = why } } end
  return { ids = ids, namespaces = found, renaming = renaming, usage = talk.usage }
end

--- request: { what = "fetch" | "report", base = URL, deadline_ms =, hostname =, ifaceprefix = list, pluginsdir =,
--- sysfs =, tls = { ca =, cert =, key = }, state = see agent.registry.report, known = { [ns] = digest } | nil,
--- insist = bool: ask under a new host name although it could not be reported }.
--- fetch emits { ns =, items = { … } } as often as needed and returns { ids = { [ns] = id }, namespaces = { [ns] =
--- { error = { code =, message = } } | { digest =, same = true } | { digest =, count = } }, renaming = why a report
--- of a new name was refused | nil, usage = { requests =, connections =, wire_bytes = } }. report returns true.
--- Both raise { code =, message = } when nothing could be learnt or done.
return function(request, emit)
  local talk = errand.open(curl, request)
  if request.what == "fetch" then return fetch(talk, request, emit) end
  local ok, err = report(talk, who_am_i(request), request)
  if not ok then error(err) end
  return true
end
