local loop = require("loop")
local program = require("program")
local token = require("agent.http.token")
local uv = require("luv")

local SECRET = "0123456789abcdef"

describe("the tokens", function()
  local folder, now, tokens

  before_each(function()
    folder, now = program.folder(), 100
    tokens = token.new({ now = function() return now end })
  end)

  after_each(function()
    program.remove(folder)
    loop.drain()
  end)

  local function load(text, mode)
    local path, answer = folder .. "/tokens", nil
    program.write(path, text)
    uv.fs_chmod(path, tonumber(mode or "600", 8))
    tokens:load(path, function(why) answer = { why } end)
    loop.wait(function() return answer end, "the file")
    return answer[1]
  end

  local function judge(given, address)
    return tokens:judge(given and "Bearer " .. given, address or "10.0.0.1")
  end

  it("are a line each", function()
    assert.is_nil(load("# for the deployer\n" .. SECRET .. "\r\n\n  another-token-here \n"))
    assert.equal("right", judge(SECRET))
    assert.equal("right", judge("another-token-here"))
    assert.equal("none", judge(nil))
    assert.equal("wrong", judge("# for the deployer"))
  end)

  it("come from a file that nobody else can read or write, and none is in what is said", function()
    for mode, ok in pairs({ ["600"] = true, ["400"] = true, ["640"] = false, ["604"] = false, ["660"] = false }) do
      local why = load(SECRET, mode)
      assert.equal(ok, why == nil, mode)
      assert.is_nil(why and why:find(SECRET, 1, true))
    end
    for text, wanted in pairs({ [""] = "no token", ["short"] = "shorter than 16", [("x"):rep(5000)] = "larger" }) do
      assert.matches(wanted, load(text))
    end
    local answer
    tokens:load(folder, function(why) answer = why end)
    loop.wait(function() return answer end)
    assert.matches("not a file", answer)
    assert.equal("right", judge(SECRET)) -- the last good ones stay
  end)

  it("are not looked at while a client that guessed wrong has to wait, longer each time", function()
    load(SECRET)
    for _, seconds in ipairs({ 1, 2, 4, 8, 16, 32, 60, 60 }) do
      assert.equal("wrong", judge("nonsense"))
      local verdict, wait = judge(SECRET)
      assert.same({ "wait", seconds }, { verdict, wait })
      assert.equal("right", judge(SECRET, "10.0.0.2")) -- others don't
      now = now + seconds
    end
    assert.equal("right", judge(SECRET))
    assert.equal("wrong", judge("nonsense"))
    assert.equal(1, select(2, judge(SECRET)))
  end)

  it("see one client in all addresses of an IPv6 network", function()
    load(SECRET)
    assert.equal("wrong", judge("nonsense", "2001:db8:1:2:3:4:5:6"))
    assert.equal("wait", (judge(SECRET, "2001:db8:1:2::7")))
    assert.equal("right", judge(SECRET, "2001:db8:1:3::7"))
  end)

  it("remember a bounded number of clients", function()
    load(SECRET)
    for i = 1, 3000 do judge("nonsense", ("10.0.%d.%d"):format(i / 256, i % 256)) end
    assert.equal(1024, tokens.count)
    local n = 0
    for _ in pairs(tokens.clients) do n = n + 1 end
    assert.equal(1024, n)
  end)
end)
