-- builtin/dns_check.lua: messages of servers, good and hostile.

local shipped = require("shipped")

local function u16(n) return string.char(math.floor(n / 256) % 256, n % 256) end

describe("builtin dns_check", function()
  local dns = shipped.load("dns_check")
  local NAME = "\3www\4test\0"
  local QUESTION = NAME .. u16(1) .. u16(1)

  -- The message with these answers; flags 0x8400: an authoritative answer.
  local function message(answers, options)
    options = options or {}
    return u16(options.id or 7) .. u16(options.flags or 0x8400) .. u16(options.questions or 1)
      .. u16(options.count or #answers) .. u16(0) .. u16(0) .. (options.question or QUESTION) .. table.concat(answers)
  end

  local function record(kind, data, name, ttl)
    return (name or "\192\12") .. u16(kind) .. u16(1) .. "\0\0" .. u16(ttl or 60) .. u16(#data) .. data
  end

  local function texts(answers, options)
    local parsed, why = dns.parse(message(answers, options), 7, QUESTION)
    if not parsed then return nil, why end
    local list = {}
    for i, one in ipairs(parsed.answers) do list[i] = one.text end
    return list
  end

  it("reads each kind of record", function()
    assert.same({ "192.0.2.7", "2001:db8::1:0:0:5", "a.test", "10 mail.www.test", "1 2 80 www.test", "hello world",
      "ns.www.test me.test 5", "3 bytes" },
      texts({ record(1, "\192\0\2\7"),
        record(28, "\32\1\13\184" .. ("\0"):rep(4) .. "\0\1" .. ("\0"):rep(4) .. "\0\5"),
        record(5, "\1a\192\16"), record(15, u16(10) .. "\4mail\192\12"),
        record(33, u16(1) .. u16(2) .. u16(80) .. "\192\12"), record(16, "\6hello \5world"),
        record(6, "\2ns\192\12\2me\192\16" .. "\0\0\0\5" .. ("\0"):rep(16)), record(99, "abc") }))
  end)

  it("writes IPv6 in the one way", function()
    for given, wanted in pairs({ ["::"] = "::", ["::1"] = "::1", ["1::"] = "1::",
      ["2001:DB8:0:0:1:0:0:1"] = "2001:db8::1:0:0:1",
      ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8", ["1:0:3:4:5:6:7:8"] = "1:0:3:4:5:6:7:8", ["fe80::0:1"] = "fe80::1",
      ["WWW.Test."] = "www.test", ["x:y"] = "x:y" }) do
      assert.equal(wanted, dns.normal(given))
    end
  end)

  it("takes no answer to another question", function()
    assert.match("our question", select(2, texts({}, { id = 8 })))
    assert.match("our question", select(2, texts({}, { flags = 0x0100 })))
    assert.match("another question", select(2, texts({}, { question = "\3www\4evil\0" .. u16(1) .. u16(1) })))
    assert.match("another question", select(2, texts({}, { question = NAME .. u16(28) .. u16(1) })))
    assert.match("another question", select(2, texts({ record(1, "abcd") }, { questions = 0, question = "" })))
    assert.same({}, texts({}, { question = "\3WWW\4TEST\0" .. u16(1) .. u16(1) }))
    assert.same({}, texts({}, { questions = 0, question = "", flags = 0x8005 }))
  end)

  it("does not follow names in circles, nor read beyond the message", function()
    assert.match("points forward", select(2, texts({ record(1, "abcd", "\192\27") })))
    assert.match("points forward", select(2, texts({ record(5, "\192\39") })))
    assert.match("unknown kind", select(2, texts({ record(1, "abcd", "\100a") })))
    assert.match("cut off", select(2, texts({ record(1, "abcd", "\63a") })))
    assert.match("not 4 bytes", select(2, texts({ record(1, "abc") })))
    assert.match("longer than its record", select(2, texts({ record(16, "\200a") })))
    local cut = "\192\12" .. u16(1) .. u16(1) .. "\0\0\0\1" .. u16(500) .. "x"
    assert.match("longer than the message", select(2, texts({ cut })))
    assert.match("cut off", select(2, texts({}, { count = 65535 })))
    local long = ("\63" .. ("a"):rep(63)):rep(5) .. "\0"
    assert.match("255", select(2, texts({ record(1, "abcd", long) })))
  end)

  it("survives every cut, and every changed byte", function()
    local whole = message({ record(1, "\192\0\2\7"), record(5, "\1a\192\16"), record(16, "\5world") })
    for n = 0, #whole - 1 do assert.is_nil((dns.parse(whole:sub(1, n), 7, QUESTION))) end
    for i = 1, #whole do
      for _, byte in ipairs({ 0, 1, 63, 192, 255 }) do
        local parsed, why = dns.parse(whole:sub(1, i - 1) .. string.char(byte) .. whole:sub(i + 1), 7, QUESTION)
        assert.is_true(parsed ~= nil or type(why) == "string")
      end
    end
  end)

  local function asked(given, answer, options)
    local ctx = shipped.ctx(options)
    function ctx.udp(host, port)
      ctx.peer = host .. " " .. port
      local got = {}
      return { send = function(_, text)
        got = { answer(text) }
        return true
      end, receive = function()
        if got[1] then return table.remove(got, 1) end
        return nil, "no answer within 2 s", "timeout"
      end }
    end
    local list, why = dns.run(shipped.params(dns, given), ctx)
    return list, why, ctx
  end

  local function good(text)
    return text:sub(1, 2) .. message({ record(1, "\192\0\2\7"), record(1, "\192\0\2\8", nil, 5) }):sub(3)
  end

  it("says whether the answers are those expected", function()
    local list, why, ctx = asked({ name = "www.test", server = "192.0.2.53", expect = "192.0.2.8" }, good)
    assert.is_nil(why)
    assert.equal("192.0.2.53 53", ctx.peer)
    assert.same({ 1, 1, 2, 5, 0 }, { shipped.value(list, "ok"), shipped.value(list, "answered"),
      shipped.value(list, "answers"), shipped.value(list, "ttl"), shipped.value(list, "rcode") })
    shipped.compare("dns_check", list)
    list, why, ctx = asked({ name = "www.test", server = "192.0.2.53", expect = "192.0.2.9" }, good)
    assert.is_nil(why)
    assert.equal(0, shipped.value(list, "ok"))
    assert.match("192.0.2.9 is not among the answers: 192.0.2.7, 192.0.2.8", ctx.records[1])
    list = asked({ name = "www.test", server = "192.0.2.53", rcode = "nxdomain" }, good)
    assert.equal(0, shipped.value(list, "ok"))
  end)

  it("passes over answers that are not to our question, until the right one comes", function()
    local list = asked({ name = "www.test", server = "x" }, function(text)
      return "nonsense", u16(1) .. good(text):sub(3), good(text)
    end)
    assert.equal(1, shipped.value(list, "ok"))
    local silent, _, ctx = asked({ name = "www.test", server = "x" }, function() return "nonsense, and long enough" end)
    assert.same({ 0, 0, 2 }, { shipped.value(silent, "ok"), shipped.value(silent, "answered"),
      shipped.value(silent, "tries") })
    assert.match("not an answer to our question", ctx.records[1])
  end)

  it("asks the first server of /etc/resolv.conf when none is named", function()
    local _, _, ctx = asked({ name = "www.test" }, good, { read_file = function()
      return "# nameserver 1.1.1.1\nsearch x\nnameserver 192.0.2.5\nnameserver 192.0.2.6\n"
    end })
    assert.equal("192.0.2.5 53", ctx.peer)
    assert.match("names no server", select(2, asked({ name = "a" }, good, { read_file = function() return "" end })))
  end)

  it("refuses what can't be asked", function()
    assert.match("label", select(2, asked({ name = "a..b" }, good)))
    assert.match("label", select(2, asked({ name = ("a"):rep(64) }, good)))
    assert.match("255", select(2, asked({ name = ("abc."):rep(70) }, good)))
    assert.match("not known", select(2, asked({ name = "a", type = "BOGUS" }, good)))
    assert.match("port: 0", select(2, asked({ name = "a", port = 0, server = "x" }, good)))
    assert.match("tries", select(2, asked({ name = "a", tries = 10, timeout = 5, server = "x" }, good)))
  end)
end)
