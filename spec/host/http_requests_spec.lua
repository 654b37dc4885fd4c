-- The corpus of requests against the real listener, whole and in slices.
local http = require("host.http")
local loop = require("loop")
local raw = require("raw_client")

-- What the server says to the bytes; whether it closed, and what the handler has seen.
local function ask(bytes, slice)
  local seen = {}
  local server = assert(http.listen({ ip = "127.0.0.1", port = 0, body = 100000, on_request = function(request, reply)
    seen[#seen + 1] = request.path
    reply:send(200, {}, "fine")
  end }))
  local client = raw.connect({ port = server:port() })
  client:send_slices(bytes, slice):until_closed()
  server:close()
  return client, seen
end

describe("the listener", function()
  after_each(function() loop.drain() end)

  for _, case in ipairs(dofile("tests/fixtures/requests.lua")) do
    local name, bytes, wanted = unpack(case)
    it(("answers %s to %s"):format(table.concat(wanted, ", "), name), function()
      for _, slice in ipairs(#bytes < 2000 and { 1, 2, 3, #bytes } or { 1021, #bytes }) do
        local client, seen = ask(bytes, slice)
        local statuses = {}
        for _, status in ipairs(client:statuses()) do
          if status ~= 100 then statuses[#statuses + 1] = status end
        end
        assert.same(wanted, statuses, "in slices of " .. slice)
        for _, path in ipairs(seen) do assert.is_not.equal("/smuggled", path) end
        assert.equal(wanted[#wanted] == 200 and #wanted or #wanted - 1, #seen)
        if wanted[#wanted] ~= 200 then assert.matches("\r\nConnection: close\r\n", client.received) end
      end
    end)
  end
end)
