-- Builtin functions of a test: written as files, run by the real worker.

local program = require("program")
local try = require("agent.builtin.try")
local uv = require("luv")

local M = {}

--- A directory that the worker, who may be nobody, can read.
function M.folder()
  local folder = program.folder()
  uv.fs_chmod(folder, 493)
  uv.fs_mkdir(folder .. "/builtin", 493)
  return folder
end

--- Writes a function's file; `body` is what is between function(params, ctx) and end.
function M.write(folder, name, body)
  program.write(("%s/builtin/%s.lua"):format(folder, name), ("return function(params, ctx)\n%s\nend\n"):format(body))
end

M.records = {}

local function remember(level)
  return function(_, message, fields)
    M.records[#M.records + 1] = { level = level, message = message, fields = fields or {} }
  end
end

M.log = { error = remember("error"), warning = remember("warning"), info = remember("info"),
  debug = remember("debug") }

--- Whether a record that holds `text` was logged since the last clear.
function M.logged(text)
  for _, record in ipairs(M.records) do
    if record.message:find(text, 1, true) then return record end
  end
  return nil
end

--- Runs `body` as a function; the outcome, or the outcomes with options.times.
function M.run(folder, body, options)
  options = options or {}
  M.records = {}
  M.write(folder, "probe", body)
  local outcomes = try.run("probe", { directories = { folder .. "/builtin" }, params = options.params, ns = options.ns,
    times = options.times, timeout = options.timeout, log = M.log, conf = options.conf })
  return options.times and outcomes or outcomes[1]
end

M.value = try.value

--- A TCP server on loopback: serve(socket, peer) for each connection. Returns { port, close() }.
function M.server(serve)
  local tcp, open = uv.new_tcp(), {}
  assert(tcp:bind("127.0.0.1", 0))
  assert(tcp:listen(512, function()
    local client = uv.new_tcp()
    tcp:accept(client)
    open[client] = true
    serve(client)
  end))
  local server = { port = tcp:getsockname().port }
  function server.close()
    if not tcp:is_closing() then tcp:close() end
    for client in pairs(open) do
      if not client:is_closing() then client:close() end
    end
  end
  return server
end

--- Serves whole requests: answer(text of the request) → text; nil: none, and the connection stays open.
function M.answering(answer)
  return M.server(function(client)
    local request = ""
    client:read_start(function(_, chunk)
      if not chunk then return client:is_closing() or client:close() end
      request = request .. chunk
      local reply = answer(request)
      if not reply then return end
      client:write(reply, function()
        if not client:is_closing() then client:close() end
      end)
    end)
  end)
end

return M
