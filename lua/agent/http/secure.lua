-- TLS for TCP clients: the module that speaks it is loaded only where http.tlscert is set. Certificate and key are read
-- off the loop, at the start and with each reload, so that renewed ones need no restart.

local file = require("agent.file")

local M = {}

local LARGEST = 4 * 2 ^ 20
local KEYS = { { "cert", "tlscert" }, { "key", "tlskey" }, { "ca", "tlsca" } }

local function make(texts, callback)
  require("agent.worker.modules").enable()
  local ok, tls = pcall(require, "tls")
  if not ok then return callback("http.tlscert: module tls can't be loaded: " .. tls:match("^[^\n]*")) end
  local maker, why = tls.server(texts)
  if not maker then return callback("http.tlscert: " .. why) end
  callback(nil, maker)
end

--- conf: conf.http. callback(err, maker): a sentence that names the key, or what Server:tls() of host.http takes; both
--- nil without TLS, and then at once.
function M.load(conf, callback)
  if conf.tlscert == "" then return callback() end
  local texts = {}
  local function step(i)
    local one = KEYS[i]
    if not one then return make(texts, callback) end
    local path = conf[one[2]]
    if path == "" then return step(i + 1) end
    file.read(path, LARGEST, function(err, text)
      if err then return callback(("http.%s: %s"):format(one[2], err.message)) end
      texts[one[1]] = text
      step(i + 1)
    end)
  end
  step(1)
end

return M
