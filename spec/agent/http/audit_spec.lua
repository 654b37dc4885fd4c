local audit = require("agent.http.audit")

describe("the record of changes", function()
  local lines, timers, record

  before_each(function()
    lines, timers = {}, {}
    record = audit.new({
      log = { info = function(part, message, fields)
        local copy = {}
        for k, v in pairs(fields) do copy[k] = v end
        lines[#lines + 1] = { part, message, copy }
      end },
      after = function(_, fn)
        timers[#timers + 1] = fn
        return { cancel = function() timers.cancelled = (timers.cancelled or 0) + 1 end }
      end,
    })
  end)

  local function request(path, query) return { path = path, query = query or {} } end

  it("says who did what, and with what result", function()
    record:note("uid 0 pid 7", request("/plugins/run", { ns = "a.loda", repo = "https://u:secret@git/a/b.git" }), 200,
      "run plugin successfully\nmore")
    assert.same({ { "http", "change", { who = "uid 0 pid 7", call = "/plugins/run", ns = "a.loda",
      repo = "https://git/a/b.git", status = 200, result = "run plugin successfully" } } }, lines)
  end)

  it("gathers what repeats itself into one line", function()
    for _ = 1, 5 do record:note("10.0.0.1", request("/post", { ns = "a.loda" }), 200, "ok") end
    record:note("10.0.0.1", request("/post", { ns = "a.loda" }), 500, "invalid ns")
    assert.equal(2, #lines)
    for _, fn in ipairs(timers) do fn() end
    assert.equal(3, #lines)
    assert.equal(4, lines[3][3].times)
    record:note("10.0.0.1", request("/post", { ns = "a.loda" }), 200, "ok")
    assert.equal(4, #lines)
  end)

  it("writes what it has counted when it is closed", function()
    for _ = 1, 3 do record:note("10.0.0.1", request("/update"), 200, "ok") end
    record:close()
    assert.same({ 2, 2, 1, 0 }, { #lines, lines[2][3].times, timers.cancelled, record.count })
  end)

  it("holds a bounded number of kinds, and writes the others at once", function()
    for i = 1, 300 do record:note("pid " .. i, request("/update"), 200, "ok") end
    assert.same({ 300, 256, 256 }, { #lines, record.count, #timers })
  end)
end)
