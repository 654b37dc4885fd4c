local http_response = require("host.http_response")

-- Feeds the text in slices; returns the body, whether it is complete, and the response.
local function feed(text, size)
  local response, body, complete = http_response.new(), {}, false
  for at = 1, #text, size do
    local piece, over = response:feed(text:sub(at, at + size - 1))
    assert(piece, over)
    body[#body + 1], complete = piece, over
  end
  return table.concat(body), complete, response
end

describe("a response read from bytes", function()
  it("gives its body piece by piece, however it is framed and sliced", function()
    local framed = {
      ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"] = true,
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"] = true,
      ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"] = false,
    }
    for text, ends in pairs(framed) do
      for _, size in ipairs({ 1, 3, 4096 }) do
        local body, complete, response = feed(text, size)
        assert.equal("hello", body)
        assert.equal(ends, complete)
        assert.is_true(response:finish())
        assert.equal(200, response:status())
      end
    end
  end)

  it("may be larger than any buffer", function()
    local large = ("x"):rep(3e6)
    local body, complete = feed("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" .. large, 65536)
    assert.is_true(complete)
    assert.is_true(body == large)
    body, complete = feed("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" .. large, 4e6)
    assert.is_true(complete)
    assert.is_true(body == large)
  end)

  it("says its status as soon as the head is read, and passes interim ones over", function()
    local response = http_response.new()
    response:feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Fo")
    assert.equal(0, response:status())
    response:feed("und\r\nContent-Length: 2\r\n\r\n")
    assert.equal(404, response:status())
  end)

  it("is refused when it isn't HTTP, is cut off, or has bytes behind it", function()
    assert.same({ nil, "not an HTTP response", "EPROTO" }, { http_response.new():feed("220 mail\r\n") })
    local _, _, cut = feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 4096)
    assert.same({ nil, "the answer is cut off", "EPROTO" }, { cut:finish() })
    local _, _, whole = feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhe", 4096)
    assert.is_nil((whole:feed("more")))
  end)
end)
