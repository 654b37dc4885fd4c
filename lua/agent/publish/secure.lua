-- What connections of an output need beyond an address: TLS, a secret, compression. Files are read off the loop, anew
-- for each connection, so that renewed certificates are used without a restart. The modules come in only
-- when configured.

local file = require("agent.file")

local M = {}
M.__index = M

local SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
local LARGEST = 4 * 2 ^ 20
local QUICK = 1 -- of our JSON a fifth less is saved than by 6, in less than half the time: it runs on the loop

--- conf: tlsca, tlscert, tlskey, tlsname, authsecret, compress of conf.output.
function M.new(conf)
  return setmetatable({ conf = conf }, M)
end

-- nil, err where the module isn't installed.
local function module(name)
  require("agent.worker.modules").enable()
  local ok, found = pcall(require, name)
  if ok then return found end
  return nil, { code = "module", message = ("module %s can't be loaded: %s"):format(name, found:match("^[^\n]*")) }
end

-- Reads files { name = path } one after the other; callback(err, { name = text }).
local function read_all(paths, callback)
  local texts = {}
  local function step(name)
    local path
    name, path = next(paths, name)
    if not name then return callback(nil, texts) end
    file.read(path, LARGEST, function(err, text)
      if err then return callback(err) end
      texts[name] = text
      step(name)
    end)
  end
  step(nil)
end

local function given(path)
  return path ~= nil and path ~= "" and path or nil
end

-- The context is kept as long as the files say the same.
local function context(self, texts)
  local known = self.texts
  if self.tls and known.ca == texts.ca and known.cert == texts.cert and known.key == texts.key then return self.tls end
  local library, err = module("tls")
  if not library then return nil, err end
  local tls, message, code = library.client({ ca = texts.ca, cert = texts.cert, key = texts.key })
  if not tls then return nil, { code = code, message = message } end
  self.tls, self.texts = tls, texts
  return tls
end

--- What a connection with (tls) or without TLS to the server named `host` needs; callback(err, { tls = filter maker,
--- name =, secret =, deflate = filter maker }), each nil where it isn't configured. At once where no file is needed.
function M:prepare(tls, host, callback)
  local conf = self.conf
  local paths = { secret = given(conf.authsecret) }
  if tls then
    paths.ca, paths.cert, paths.key = given(conf.tlsca) or SYSTEM_CA, given(conf.tlscert), given(conf.tlskey)
  end
  read_all(paths, function(err, texts)
    if err then return callback(err) end
    local found = { secret = texts.secret and texts.secret:match("^(.-)%s*$") }
    if tls then
      local maker, why = context(self, texts)
      if not maker then return callback(why) end
      found.tls, found.name = maker, given(conf.tlsname) or host
    end
    if conf.compress then
      local library, why = module("zlib")
      if not library then return callback(why) end
      found.deflate = library.deflater(QUICK)
    end
    callback(nil, found)
  end)
end

return M
