-- The real agent as a child of a test: started with a configuration of its own in a temporary
-- directory, watched, and gone at the end of the test.

local uv = require("luv")
local wait = require("wait")

local M = {}

--- Runs the loop until check() is true; fails the test after `seconds` with what was waited for.
function M.wait(what, seconds, check)
  return wait.until_true(check, seconds * 1000, what)
end

function M.folder()
  return assert(uv.fs_mkdtemp("/tmp/agent-test-XXXXXX"))
end

function M.remove(folder)
  assert(folder:find("^/tmp/agent%-test%-"))
  os.execute("rm -rf '" .. folder .. "'")
end

function M.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

function M.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

local function value_text(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, one in pairs(value) do
    parts[#parts + 1] = type(key) == "number" and value_text(one) or ("[%q] = %s"):format(key, value_text(one))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

--- A configuration in `folder` that touches nothing outside it: conf by section, over safe defaults.
--- Returns the path of the file.
function M.configure(folder, conf, registry)
  local all = {
    agent = { listen = "127.0.0.1:0", socket = folder .. "/agent.sock", pidfile = folder .. "/agent.pid",
      statedir = folder .. "/state", pluginsdir = folder .. "/plugins", builtindir = folder .. "/builtin",
      registryaddr = "file:" .. folder .. "/registry.lua" },
    output = { name = "file", path = folder .. "/points" },
    log = { loglevel = "DEBUG" }, http = {},
  }
  for section, values in pairs(conf or {}) do
    all[section] = all[section] or {}
    for key, value in pairs(values) do all[section][key] = value end
  end
  M.write(folder .. "/registry.lua", "return " .. value_text(registry or { ["test.loda"] = {} }))
  M.write(folder .. "/agent.lua", "return " .. value_text(all))
  return folder .. "/agent.lua"
end

--- Starts a program; returns { pid, stdout and output (both streams) so far, code, signal, wait(seconds),
--- kill(name) }.
function M.spawn(path, args, env)
  local child = { output = "", stdout = "" }
  local streams = { uv.new_pipe(false), uv.new_pipe(false) }
  local process, pid
  local function gone(code, signal)
    child.code, child.signal = code, signal
    process:close()
  end
  process, pid = uv.spawn(path, { args = args, stdio = { nil, streams[1], streams[2] }, env = env }, gone)
  assert(process, pid)
  child.pid = pid
  for _, stream in ipairs(streams) do
    stream:read_start(function(_, chunk)
      if not chunk then return stream:close() end
      child.output = child.output .. chunk
      if stream == streams[1] then child.stdout = child.stdout .. chunk end
    end)
  end
  function child.kill(signal)
    if not child.code then uv.kill(pid, signal or "sigkill") end
  end
  function child.wait(seconds)
    M.wait("the end of " .. path .. " " .. table.concat(args, " ") .. "\n" .. child.output, seconds or 10,
      function() return child.code and streams[1]:is_closing() and streams[2]:is_closing() end)
    return child.code
  end
  return child
end

--- Starts `agent ARGS…`.
function M.agent(args, env)
  return M.spawn(assert(os.getenv("AGENT"), "AGENT names the program under test"), args, env)
end

--- GET or POST over the agent's unix socket with curl; returns body and status.
function M.curl(folder, target, body)
  local args = { "-s", "-m", "10", "--unix-socket", folder .. "/agent.sock", "-w", "\n%{http_code}",
    "http://localhost" .. target }
  if body then
    table.insert(args, 1, "--data-binary")
    table.insert(args, 2, body)
  end
  local curl = M.spawn("/usr/bin/curl", args)
  curl.wait(15)
  local text, status = curl.output:match("^(.*)\n(%d+)$")
  return text, tonumber(status)
end

--- Waits until the agent of `folder` answers on its socket.
function M.ready(folder, agent)
  M.wait("the agent's socket", 10, function()
    assert(not agent.code, "the agent ended: " .. agent.output)
    return uv.fs_stat(folder .. "/agent.sock") and select(2, M.curl(folder, "/me/ns")) == 200
  end)
end

return M
