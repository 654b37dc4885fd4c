-- Worker influxdb: writes what it is given to InfluxDB, with libcurl, for as long as the agent lives.

-- Read for each job: a renewed secret is used without a restart. Its file may end with a newline.
local function read_secret(path)
  if path == "" then return nil end
  local file, why = io.open(path, "rb")
  if not file then error({ code = "secret", message = why }) end
  local text = file:read(65536) or ""
  file:close()
  return (text:match("^%s*(.-)%s*$"))
end

local function open_session(conf)
  return assert(require("curl").open({
    deadline_ms = 1000, connect_ms = conf.connect_ms, max_body = 8 * 2 ^ 20,
    ca_file = conf.tlsca ~= "" and conf.tlsca or os.getenv("SSL_CERT_FILE"), ca_dir = os.getenv("SSL_CERT_DIR"),
    cert = conf.tlscert ~= "" and conf.tlscert or nil, key = conf.tlskey ~= "" and conf.tlskey or nil,
    no_proxy = require("agent.worker.proxy").exception(conf.url),
    user_agent = "agent/" .. require("host").build.version,
  }))
end

--- conf: url, org, bucket, user, auth, password, token (both paths), batchsize, tlsca, tlscert, tlskey of conf.output;
--- connect_ms; ack_ms: for each job. Receives { id =, messages = { bytes … } }, emits for each, in order, what
--- agent.publish.influx.writer returns, with its id. Ends when nothing more can come.
return function(conf, emit, receive)
  local password, token
  local writer = require("agent.publish.influx.writer").new(conf, {
    session = open_session(conf), gzip = require("zlib").gzip, now = require("host.clock").mono,
    secrets = function() return password, token end,
  })
  for job in receive do
    local ok, why = pcall(function()
      password, token = read_secret(conf.password), read_secret(conf.token)
    end)
    local result = ok and writer:write(job.messages, conf.ack_ms / 1000) or { err = why, dropped = {}, bad = {} }
    result.id = job.id
    emit(result)
  end
  return true
end
