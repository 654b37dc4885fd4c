-- Names to numbers, where getaddrinfo may block as long as it likes.
local uv = require("luv")

--- request: { host = "name", port = number|string|nil } → { { addr = "192.0.2.1", family = "inet"|"inet6",
--- port = number }, … } in the resolver's order, without duplicates. Raises { code =, message = }.
return function(request)
  local found, why, code = uv.getaddrinfo(request.host, request.port and tostring(request.port),
    { socktype = "stream" })
  if not found then
    error({ code = code or "ENOENT", message = ("%s: %s"):format(request.host, why) })
  end
  local list, seen = {}, {}
  for _, entry in ipairs(found) do
    if not seen[entry.addr] then
      seen[entry.addr] = true
      list[#list + 1] = { addr = entry.addr, family = entry.family, port = entry.port }
    end
  end
  return list
end
