-- builtin/nginx.lua: what it makes of the page of stub_status, and of other pages.

local shipped = require("shipped")

local PAGE = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630940 31070465 \n"
  .. "Reading: 6 Writing: 179 Waiting: 106 \n"

describe("builtin nginx", function()
  local nginx = shipped.load("nginx")

  local function run(answer, ctx, given)
    ctx = ctx or shipped.ctx()
    local asked
    function ctx.http(request)
      asked = request
      if type(answer) == "string" then return { status = 200, body = answer } end
      if answer.status then return answer end
      return nil, answer.why, answer.code
    end
    local metrics, why = nginx.run(shipped.params(nginx, given), ctx)
    return metrics, why, ctx, asked
  end

  it("tells connections, and rates from the second run on", function()
    local metrics, why, ctx, asked = run(PAGE)
    assert(metrics, why)
    assert.equal("http://127.0.0.1/stub_status", asked.url)
    assert.same({ ["connections.active"] = 291, ["connections.reading"] = 6, ["connections.writing"] = 179,
      ["connections.waiting"] = 106 }, metrics)
    ctx.pass(10)
    metrics = run((PAGE:gsub("16630948 16630940 31070465", "16631048 16631030 31070965")), ctx)
    assert.same({ 10, 1, 50 }, { metrics["connections.accepted"], metrics["connections.dropped"], metrics.requests })
  end)

  it("reads the page of Tengine too, which has one column more", function()
    local page = "Active connections: 1 \nserver accepts handled requests request_time\n 1 1 5 100\n"
      .. "Reading: 0 Writing: 1 Waiting: 0 \n"
    assert.equal(5, nginx.parse(page).requests)
  end)

  it("says what is wrong with an answer", function()
    for _, case in ipairs({
      { { why = "127.0.0.1: ECONNREFUSED", code = "connect" }, "ECONNREFUSED" },
      { { status = 404, body = "" }, "status 404" },
      { "", "no page of stub_status" }, { PAGE:sub(1, 80), "no page of stub_status" },
      { "<html>\27[2J\0", '"<html>%?%[2J%?"' }, { PAGE:gsub("291", "-1"), "no page" },
      { PAGE:gsub("291", ("9"):rep(400)), "active is 999" }, { ("Active connections: "):rep(3000), "no page" },
    }) do
      local metrics, why = run(case[1])
      assert.is_nil(metrics)
      assert.match(case[2], why)
    end
  end)

  it("asks as it is told to", function()
    local _, _, _, asked = run(PAGE, nil, { url = "https://x/", verify = "false", user = "a:b", unix = "/s" })
    assert.same({ url = "https://x/", verify = false, user = "a:b", unix = "/s", timeout = 5, max_body = 65536 }, asked)
  end)

  it("emits what is documented", function()
    local first, _, ctx = run(PAGE)
    ctx.pass(10)
    shipped.compare("nginx", first, (run(PAGE, ctx)))
  end)
end)
