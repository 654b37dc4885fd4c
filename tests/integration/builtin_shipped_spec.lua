-- The shipped functions against servers that cut, flood, dawdle or speak something else, in the real worker: each
-- failure is a sentence, in time, and neither memory nor the CPU is what ends the run.

local builtin = require("builtin")
local try = require("agent.builtin.try")
local uv = require("luv")

describe("against a server that misbehaves, builtin", function()
  local server, timers = nil, {}

  after_each(function()
    for i = #timers, 1, -1 do
      timers[i]:close()
      timers[i] = nil
    end
    if server then server.close() end
    server = nil
    uv.run("nowait")
  end)

  local function outcome(name, params)
    return try.run(name, { directories = { uv.cwd() .. "/builtin" }, params = params, log = builtin.log,
      interval = 10 })[1]
  end

  -- Why a run failed; that it was not ended by force, and in time.
  local function failure(name, params)
    local began = uv.hrtime()
    local run = outcome(name, params)
    assert.equal(1, run.status, run.reason)
    assert.is_nil(run.reason:find("more than %g+ s of CPU", 1), run.reason)
    assert.is_nil(run.reason:find("KiB of memory", 1, true), run.reason)
    assert.is_nil(run.reason:find("[%c\128-\255]"), run.reason)
    assert.is_true((uv.hrtime() - began) / 1e9 < 9)
    return run.reason
  end

  -- Sends `text` to who says something, and closes then (or doesn't).
  local function saying(text, open)
    server = builtin.server(function(client)
      local said = false
      client:read_start(function()
        if said then return end
        said = true
        client:write(text, function()
          if not open and not client:is_closing() then client:close() end
        end)
      end)
    end)
    return server.port
  end

  -- Sends `text` again and again, as fast as it is read.
  local function flooding(text)
    server = builtin.server(function(client)
      client:read_start(function() end)
      local function more(err)
        if not err and not client:is_closing() then client:write(text, more) end
      end
      more()
    end)
    return server.port
  end

  -- A byte of `text` each 50 ms, again and again.
  local function dripping(text)
    server = builtin.server(function(client)
      client:read_start(function() end)
      local timer, at = uv.new_timer(), 0
      timers[#timers + 1] = timer
      timer:start(0, 50, function()
        at = at % #text + 1
        if not client:is_closing() then client:try_write(text:sub(at, at)) end
      end)
    end)
    return server.port
  end

  local BLOB = ("\0\255\27[31m\r"):rep(2000)

  for _, name in ipairs({ "redis", "memcached" }) do
    it(name .. " says what is wrong", function()
      local function why(port, timeout)
        local reason = failure(name, { port = port, timeout = timeout })
        server.close()
        return reason
      end
      assert.match("closed by the other side", why(saying("")))
      assert.match("nothing within 0.5 s", why(saying("", true), 0.5))
      assert.match("no answer of", why(saying(BLOB .. "\n")))
      assert.match("more than 64 KiB", why(flooding(("x"):rep(65536))))
      assert.match("no answer of", why(flooding("HTTP/1.1 200 OK\r\n\r\n")))
      assert.match("nothing within 0.5 s", why(dripping("STAT pid 1"), 0.5))
      assert.match("nothing within 0.5 s", why(dripping("$100"), 0.5))
    end)
  end

  it("redis takes no answer of more than a MiB, none that is cut, and no nonsense in one", function()
    local function why(text)
      local reason = failure("redis", { port = saying(text), timeout = 2 })
      server.close()
      return reason
    end
    assert.match("an answer of 1048577 bytes", why("$1048577\r\n" .. ("x"):rep(100000)))
    assert.match("closed by the other side, 50 bytes", why("$1000\r\n" .. ("x"):rep(50)))
    assert.match("no INFO", why("$1048576\r\n" .. ("a"):rep(1048576) .. "\r\n"))
    assert.match("no INFO", why("$1048576\r\n" .. ("a:\n"):rep(349526):sub(1, 1048576) .. "\r\n"))
  end)

  it("memcached reads no endless list", function()
    local reason = failure("memcached", { port = flooding(("STAT name 1\r\n"):rep(500)) })
    assert.match("more than 1000 lines", reason)
  end)

  it("nginx says what is wrong", function()
    local function why(port, timeout)
      local reason = failure("nginx", { url = ("http://127.0.0.1:%d/"):format(port), timeout = timeout })
      server.close()
      return reason
    end
    local head = "HTTP/1.1 200 OK\r\n"
    assert.is_string(why(saying("")))
    assert.is_string(why(saying(BLOB)))
    assert.match("nothing within 0%.", why(saying("", true), 0.5))
    assert.match("no page of stub_status", why(saying(head .. "Content-Length: 12000\r\n\r\n" .. BLOB:sub(1, 12000))))
    assert.match("larger", why(flooding(head .. "\r\n" .. ("x"):rep(65536))))
    assert.is_string(why(saying(head .. "Content-Length: 100\r\n\r\nActive connections: 1")))
  end)

  it("http_check tells each of them apart", function()
    local function result(port, timeout)
      local run = outcome("http_check", { url = ("http://127.0.0.1:%d/"):format(port), timeout = timeout,
        max_body = 100000 })
      server.close()
      assert.equal(0, run.status, run.reason)
      return builtin.value(run, "result")
    end
    assert.equal(7, result(saying("")))
    assert.equal(6, result(saying("", true), 0.5))
    assert.equal(6, result(dripping("HTTP/1.1 200 OK\r\n"), 0.5))
    assert.equal(7, result(saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")))
    assert.equal(8, result(flooding("HTTP/1.1 200 OK\r\n\r\n" .. ("x"):rep(65536))))
    assert.is_true(result(saying(BLOB)) >= 6)
  end)

  it("postgres says what psql says of it", function()
    if not uv.fs_stat("/usr/bin/psql") then return pending("psql is not installed") end
    for _, text in ipairs({ "", BLOB, "R\0\0\0\8\0\0\0\0" .. BLOB }) do
      local reason = failure("postgres", { host = "127.0.0.1", port = saying(text), timeout = 4 })
      server.close()
      assert.match("psql", reason)
    end
  end)
end)
