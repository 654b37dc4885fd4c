local evaluate = require("agent.worker.conf")

describe("the worker conf", function()
  local path
  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function run(source, more)
    local file = assert(io.open(path, "wb"))
    file:write(source)
    file:close()
    more = more or {}
    more.open, more.path, more.environment = path, path, { NAME = "value" }
    return evaluate(more)
  end

  it("gives the file's data and the lines of its keys", function()
    local result = run("return {\n agent = { listen = env('NAME') },\n}")
    assert.same({ agent = { listen = "value" } }, result.data)
    assert.equal(2, result.lines["agent.listen"])
  end)

  it("gives the whole configuration when asked to check it", function()
    local result = run("return { log = { loglevel = 'debug' } }", { validate = true })
    assert.equal("DEBUG", result.conf.log.loglevel)
    assert.is_table(result.warnings)
    assert.is_nil(result.data)
  end)

  it("gives every problem with its line", function()
    local result = run("return {\n agent = {\n  listen = 1,\n  sokcet = '',\n } }", { validate = true })
    assert.equal(2, #result.problems)
    assert.same({ key = "agent.sokcet", line = 4, message = "unknown key, did you mean agent.socket?" },
      result.problems[2])
  end)

  it("names the key and line of a value that is no data", function()
    assert.same({ { key = "a.b", line = 2, message = "a function is no plain value" } },
      run("return { a = {\n b = function() end } }").problems)
  end)

  it("refuses a file over 1 MiB, a directory and a missing file", function()
    assert.equal("larger than 1 MiB", run(("-"):rep(2 ^ 20 + 1)).problems[1].message)
    assert.equal("cannot be read: Is a directory", evaluate({ open = "/tmp" }).problems[1].message)
    assert.equal("cannot be read: No such file or directory",
      evaluate({ open = "/no-such.lua" }).problems[1].message)
  end)

  it("says what a file does wrong that does not end", function()
    assert.equal("the file takes too many instructions", run("while true do end").problems[1].message)
  end)
end)
