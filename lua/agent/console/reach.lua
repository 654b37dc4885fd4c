-- Where the running agent listens, and what to say when it can't be reached.

local M = {}

--- Exit codes of the commands that talk to the agent.
M.OK, M.FAILED, M.UNREACHABLE, M.USAGE = 0, 1, 2, 64

--- The address in a configuration: its socket, else what it listens on; nil when there is neither.
function M.address_of(conf)
  if conf.agent.socket ~= "" then return { path = conf.agent.socket } end
  local ip, port = require("agent.http").parse_address(conf.agent.listen)
  if not ip or port == 0 then return nil end
  if ip == "0.0.0.0" then ip = "127.0.0.1" elseif ip == "::" then ip = "::1" end
  return { ip = ip, port = port }
end

--- "/run/agent.sock" or "127.0.0.1:1232".
function M.name(address)
  return address.path or ("%s:%d"):format(address.ip, address.port)
end

-- Nothing but the default file, and that isn't there or not for us to read: the agent is where it is by default.
local function without_conf(options)
  local default = require("agent.cli.options").defaults.f
  return options.f == default and not require("luv").fs_access(options.f, "R")
end

--- options: of the command line, f and socket. callback(err, address), err a sentence.
function M.find(options, callback)
  if options.socket then return callback(nil, { path = options.socket }) end
  if without_conf(options) then return callback(nil, M.address_of(require("agent.config").defaults())) end
  require("agent.config").load(options.f, function(err, conf)
    if err then return callback(err.message .. "; --socket PATH names the agent's socket without it") end
    local address = M.address_of(conf)
    if address then return callback(nil, address) end
    callback(options.f .. ": agent.socket is empty and agent.listen names no port: there is no way to reach the agent")
  end)
end

local sentences = {
  ENOENT = "no agent listens on %s; start it with `agent start`, or name another socket with -f CONF or --socket PATH",
  ECONNREFUSED = "no agent listens on %s any more; start it with `agent start`",
  EACCES = "no permission to use %s; ask as root, as the agent's user or as a member of http.group",
  ETIMEDOUT = "the agent at %s does not answer (waited %g s): it is stopped or stuck; see its log, "
    .. "or end it with `agent stop` and start it again",
  ENOTSOCK = "%s is not a socket; --socket takes the path of agent.socket",
  EPROTO = "what answers at %s is not an agent",
}
sentences.EPERM = sentences.EACCES

--- Why the agent can't be reached, and what to do: one sentence.
function M.explain(address, err)
  local where = require("agent.console.text").clean(M.name(address))
  local sentence = sentences[err.code]
  if sentence then return sentence:format(where, require("agent.console.client").PATIENCE) end
  return ("the agent at %s can't be reached: %s"):format(where, err.message)
end

--- Ends the program with one line on stderr.
function M.fail(command, message, code)
  io.stderr:write("agent ", command, ": ", message, "\n")
  return require("host").exit(code or M.FAILED)
end

--- Parses a command's options and finds the agent; fn(client, options, unreachable), where unreachable(err) ends the
--- program with the sentence for it. Returns an exit code, or nil: the loop goes on.
function M.run(command, args, fn, check)
  local options, code = require("agent.cli.options").parse(command, args)
  if not options then return code end
  local name = command.usage:match("^agent (%l+)")
  local wrong = check and check(options)
  if wrong then
    io.stderr:write(("agent %s: %s; usage: %s\n"):format(name, wrong, command.usage))
    return M.USAGE
  end
  local client = require("agent.console.client")
  M.find(options, function(err, address)
    if err then return M.fail(name, err, M.UNREACHABLE) end
    client.guarded(fn, client.new(address), options, function(why)
      return M.fail(name, M.explain(address, why), M.UNREACHABLE)
    end)
  end)
end

--- What an answer that isn't the one hoped for says, as a clean line.
function M.complaint(answer)
  local text = require("agent.console.text")
  local body = require("agent.console.decode")(answer.body)
  if answer.status == 404 then return "the agent that runs there doesn't know this command: it has another version" end
  local message = type(body) == "table" and (body.msg or body.error) or answer.body:match("^[^\r\n]*")
  if message == "" then message = "nothing more" end
  return ("%s (status %d)"):format(text.clean(tostring(message):gsub("%s+$", "")), answer.status)
end

--- Columns of the terminal on stdout, nil when it is none.
function M.columns()
  local uv = require("luv")
  if uv.guess_handle(1) ~= "tty" then return nil end
  local tty = uv.new_tty(1, false)
  local width = tty and tty:get_winsize()
  if tty then tty:close() end
  return width and width > 0 and width or 80
end

return M
