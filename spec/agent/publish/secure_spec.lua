local certificates = require("certificates")
local loop = require("loop")
local program = require("program")
local secure = require("agent.publish.secure")

describe("what a connection needs", function()
  local folder

  setup(function()
    folder = program.folder()
    certificates.make(folder)
    program.write(folder .. "/secret", "s3cret\n")
  end)
  teardown(function() program.remove(folder) end)

  local function prepare(conf, tls)
    local err, found
    local object = conf.prepare and conf or secure.new(conf)
    object:prepare(tls, "nsqd.example.org", function(e, f)
      err, found = e, f
    end)
    loop.wait(function() return err or found end, "the files")
    return found, err
  end

  it("is nothing where nothing is configured, and known at once", function()
    local found
    secure.new({ tlsca = "", authsecret = "" }):prepare(false, "h", function(_, f) found = f end)
    assert.same({}, found)
  end)

  it("is a context, the name, the secret without its newline, and compression", function()
    local found = prepare({ tlsca = folder .. "/ca.pem", tlscert = folder .. "/client.pem", tlskey = folder
      .. "/client.key", tlsname = "", authsecret = folder .. "/secret", compress = true }, true)
    assert.equal("userdata", type(found.tls))
    assert.equal("userdata", type(found.deflate))
    assert.same({ "nsqd.example.org", "s3cret" }, { found.name, found.secret })
    found = prepare({ tlsca = folder .. "/ca.pem", tlsname = "other" }, true)
    assert.equal("other", found.name)
  end)

  it("is made once for the same files, anew for others", function()
    local path = folder .. "/changing.pem"
    program.write(path, program.read(folder .. "/ca.pem"))
    local object = secure.new({ tlsca = path })
    local first = prepare(object, true).tls
    assert.equal(first, prepare(object, true).tls)
    program.write(path, program.read(folder .. "/stranger.pem"))
    assert.are_not.equal(first, prepare(object, true).tls)
  end)

  it("is an error that names the file which can't be read or used", function()
    local _, err = prepare({ tlsca = folder .. "/nowhere.pem" }, true)
    assert.matches("nowhere.pem", err.message, 1, true)
    _, err = prepare({ tlsca = folder .. "/secret" }, true)
    assert.equal("ETLS", err.code)
    _, err = prepare({ authsecret = folder .. "/none" }, false)
    assert.matches("/none", err.message, 1, true)
  end)

  it("is an error where a module isn't installed", function()
    local path, loaded = package.cpath, package.loaded.tls
    local modules = require("agent.worker.modules")
    local enable = modules.enable
    package.loaded.tls, package.cpath, modules.enable = nil, "", function() end
    local _, err = prepare({ tlsca = folder .. "/ca.pem" }, true)
    package.loaded.tls, package.cpath, modules.enable = loaded, path, enable
    assert.equal("module", err.code)
    assert.matches("tls", err.message)
  end)
end)
