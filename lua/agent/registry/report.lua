-- The body of POST /api/v1/agent/report (contracts.md §1.3), byte for byte of the types that the registry
-- decodes: an array that was never known is null, one that is known and empty is [].

local M = {}

local function array(list, encode)
  if not list then return "null" end
  local parts = {}
  for i, value in ipairs(list) do parts[i] = encode(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- RFC 3339 with a fraction and a zone, as the registry wants it.
---@param seconds integer since 1970
---@param microseconds integer
function M.time(seconds, microseconds)
  local zone = os.date("%z", seconds):gsub("^([+-]%d%d)(%d%d)$", "%1:%2")
  return ("%s.%06d%s"):format(os.date("%Y-%m-%dT%H:%M:%S", seconds), microseconds, zone)
end

--- who: see agent.registry.identity. state: { namespaces = array | nil, ids = { [ns] = id } | nil } as the
--- registry last answered. build: host.build. now: text from time().
---@return string JSON
function M.body(who, state, build, now)
  local encode = require("cjson").encode
  local uuids
  if state.ids and state.namespaces then
    uuids = {}
    for _, ns in ipairs(state.namespaces) do uuids[#uuids + 1] = state.ids[ns] end
  end
  local fields = {
    { "uuid", array(uuids, encode) }, { "sn", encode(who.sn) },
    { "newiplist", array(who.ips, encode) }, { "oldiplist", array(who.old_ips, encode) },
    { "ns", array(state.namespaces, encode) },
    { "version", encode(build.version) }, { "commit", encode(build.commit) },
    { "branch", encode(build.branch) }, { "buildtime", encode(build.buildtime) },
    { "goversion", encode(jit.version) },
    { "newhostname", encode(who.hostname) }, { "oldhostname", encode(who.old_hostname) },
    { "agenttype", '"loda-agent"' }, { "update", tostring(who.changed) }, { "utime", encode(now) },
  }
  for i, field in ipairs(fields) do fields[i] = ('"%s":%s'):format(field[1], field[2]) end
  return "{" .. table.concat(fields, ",") .. "}"
end

return M
