local ask = require("http_fakes").ask
local cjson = require("cjson")
local client = require("agent.worker.client")
local loop = require("loop")
local new_router = require("agent.http.router").new
local program = require("program")

describe("/log/offset", function()
  local folder, conf, router, asked

  before_each(function()
    folder = program.folder()
    os.execute(("mkdir %s/logs %s/other %s/logs/sub && mkfifo %s/logs/fifo"):format(folder, folder, folder, folder))
    os.execute(("ln -s %s/other/secret %s/logs/link; ln -s sub %s/logs/inside; ln -s /proc/self/root %s/logs/root")
      :format(folder, folder, folder, folder))
    program.write(folder .. "/logs/a.log", "one\ntwo\nthree\nunfinished")
    program.write(folder .. "/logs/sub/b.log", "b\n")
    program.write(folder .. "/other/secret", "secret\n")
    conf, asked = { logdirs = { "/nowhere", folder .. "/logs/" } }, {}
    router = new_router()
    require("agent.http.log").register(router, { conf = conf, run = function(name, request, options, callback)
      asked[#asked + 1] = request
      if conf.hold then conf.hold[#conf.hold + 1] = callback else client.run(name, request, options, callback) end
    end })
  end)

  after_each(function()
    program.remove(folder)
    loop.drain()
  end)

  local function get(query, accept)
    local reply = ask(router, "GET", "/log/offset", { query = query, headers = { accept = accept } })
    loop.wait(function() return reply.sent == 1 end, "the answer")
    return cjson.decode(reply.body), reply.status
  end

  it("is off without directories, and says how to turn it on", function()
    conf.logdirs = {}
    local answer, status = get({ fpath = folder .. "/logs/a.log" })
    assert.same({ 200, 500, cjson.null }, { status, answer.status_code, answer.data })
    assert.matches("http%.logdirs", answer.msg)
    assert.equal(404, select(2, get({}, "application/json")))
  end)

  it("gives complete lines from the offset on, and where the next begin", function()
    local path = folder .. "/logs/a.log"
    assert.same({ status_code = 200, msg = "success", data = { "one\n", "two\n", "three\n" }, next = 14, size = 24 },
      (get({ fpath = path })))
    assert.same({ { "two\n" }, 8 }, { get({ fpath = path, offset = "4", num = "1" }).data,
      get({ fpath = path, offset = "4", num = "1" }).next })
    assert.same({ {}, 14 }, { get({ fpath = path, offset = "14" }).data, get({ fpath = path, offset = "14" }).next })
    assert.same({ {}, 99 }, { get({ fpath = path, offset = "99" }).data, get({ fpath = path, offset = "99" }).next })
    assert.same({ "b\n" }, get({ fpath = folder .. "/logs/sub/b.log" }).data)
  end)

  it("shows nothing outside its directories, by no way at all", function()
    for path, status in pairs({
      ["/etc/passwd"] = 403, ["logs/a.log"] = 403, [""] = 403, [folder .. "/logs"] = 403, [folder .. "/logs/"] = 403,
      [folder .. "/logsx/a.log"] = 403, [folder .. "/logs/../other/secret"] = 403, [folder .. "/logs/link"] = 403,
      [folder .. "/logs/inside/b.log"] = 403, [folder .. "/logs/root/etc/passwd"] = 403, [folder .. "/logs/fifo"] = 403,
      [folder .. "/logs/sub"] = 403, [folder .. "/logs//etc/passwd"] = 403, [folder .. "/logs/none"] = 404,
      [folder .. "/logs/a.log/x"] = 404, ["/nowhere/x"] = 404,
    }) do
      local answer, got = get({ fpath = path }, "application/json")
      assert.same({ status, 500, cjson.null }, { got, answer.status_code, answer.data }, path)
    end
  end)

  it("refuses numbers that are none, and caps those that are large", function()
    for _, query in ipairs({ { offset = "-1" }, { offset = "1x" }, { offset = "1e3" }, { offset = ("9"):rep(17) },
      { num = "-1" }, { num = "1.5" }, { num = "all" } }) do
      query.fpath = folder .. "/logs/a.log"
      local answer, status = get(query, "application/json")
      assert.equal(400, status)
      assert.equal(query.num and "invalid num" or "invalid offset", answer.msg)
    end
    get({ fpath = folder .. "/logs/a.log", num = "123456789" })
    assert.equal(10000, asked[#asked].num)
    assert.same({}, get({ fpath = folder .. "/logs/a.log", num = "0" }).data)
  end)

  it("caps the bytes, keeps characters whole, and gets past a line that is too long", function()
    program.write(folder .. "/logs/big", ("x"):rep(99) .. "\n" .. ("0123456789\n"):rep(100000))
    local first = get({ fpath = folder .. "/logs/big", num = "10000" })
    assert.is_true(first.next <= 262144 and #first.data == 10000)
    program.write(folder .. "/logs/long", ("x"):rep(300000) .. "\nafter\n\255\n")
    local answer = get({ fpath = folder .. "/logs/long" })
    assert.same({ {}, 262144 }, { answer.data, answer.next })
    answer = get({ fpath = folder .. "/logs/long", offset = tostring(answer.next) })
    assert.same({ "after\n", "\239\191\189\n" }, { answer.data[2], answer.data[3] })
  end)

  it("reads few files at once, and tells of a file that doesn't answer", function()
    conf.hold = {}
    local query = { fpath = folder .. "/logs/a.log" }
    local waiting = {}
    for i = 1, 4 do waiting[i] = ask(router, "GET", "/log/offset", { query = query }) end
    assert.equal(503, select(2, get(query, "application/json")))
    for _, callback in ipairs(conf.hold) do
      callback({ code = "timeout", message = "worker logpart: no answer in time" })
    end
    assert.matches("no answer in time", waiting[1].body)
    conf.hold = nil
    assert.equal(200, select(2, get(query, "application/json")))
  end)
end)
