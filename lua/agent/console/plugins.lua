-- `agent plugins`: what runs from git, and a hand on it.

local M = {
  summary = "list, run, update, enable and disable plugins",
  usage = "agent plugins [-f CONF] [--socket PATH] [--json] [--timeout S] [list | VERB NS NAME [--] ARG…]",
  details = [[
list                        all plugins, how they are and why; also without a verb
run NS NAME [--] ARG…       one run now, at most S seconds (10); shows its output
update NS NAME              fetches the newest version
disable NS NAME             no scheduled runs until it is enabled, or agent.autoenable is over
enable NS NAME              schedules it again
NAME is the project's (mysql), the item's (PLUGIN.mysql), group/project or the repository's address.
--json shows the agent's own answer.
Exit status: 0 done, 1 not done or the plugin failed, 2 no agent can be reached, 64 wrong usage.
]],
}

local MARGIN = 5 -- seconds that a run may take beyond its timeout
local LONGEST_UPDATE = 3600 + MARGIN
local DEFAULT_TIMEOUT, LONGEST_TIMEOUT = 10, 3600

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function is_terminal(fd)
  return require("luv").guess_handle(fd) == "tty"
end

-- A plugin's output: byte for byte, but harmless where it meets a terminal.
local function pass_on(stream, fd, output)
  if type(output) ~= "string" or output == "" then return end
  if is_terminal(fd) then
    output = require("agent.console.text").clean(output, true)
    if output:sub(-1) ~= "\n" then output = output .. "\n" end
  end
  stream:write(output)
  stream:flush()
end

local function tell(message)
  io.stderr:write("agent plugins: ", require("agent.console.text").clean(message), "\n")
end

local function ended_how(body)
  local text = require("agent.console.text")
  local parts = {}
  if body.signal and body.signal ~= 0 then
    parts[1] = ("killed by signal %d"):format(body.signal)
  elseif body.exit_code and body.exit_code >= 0 then
    parts[1] = ("exit status %d"):format(body.exit_code)
  end
  if body.seconds then parts[#parts + 1] = "after " .. text.milliseconds(body.seconds * 1000) end
  if type(body.commit) == "string" then parts[#parts + 1] = "commit " .. body.commit:sub(1, 8) end
  return table.concat(parts, ", ")
end

-- What is shown of an answer, by verb.
local show = {}

function show.run(body, ok)
  pass_on(io.stdout, 1, body.stdout)
  pass_on(io.stderr, 2, body.stderr)
  local how = ended_how(body)
  if ok then return tell("done: " .. how) end
  local msg = tostring(body.msg):gsub("%s+$", "")
  local why = msg:match("accurs an error:(.*)$") -- the contract's words
  tell((why and "failed: " .. why or msg) .. (how ~= "" and (" (%s)"):format(how) or ""))
end

function show.update(body, ok)
  if not ok then return tell(tostring(body.msg)) end
  local commit = type(body.commit) == "string" and body.commit:sub(1, 8) or "?"
  io.stdout:write(body.changed and "updated to " or "nothing new, it stays at ",
    require("agent.console.text").clean(commit), "\n")
end

local function show_message(body, ok)
  if not ok then return tell(tostring(body.msg)) end
  io.stdout:write(require("agent.console.text").clean(body.msg), "\n")
end
show.enable, show.disable = show_message, show_message

local function finish(options, verb, answer)
  local reach, text = require("agent.console.reach"), require("agent.console.text")
  local body = require("agent.console.decode")(answer.body)
  if type(body) ~= "table" or body.msg == nil then return reach.fail("plugins", reach.complaint(answer)) end
  local ok = answer.status >= 200 and answer.status < 300
  if options.json then
    io.stdout:write(text.clean_json(answer.body), "\n")
  else
    show[verb](body, ok)
  end
  require("host").exit(ok and reach.OK or reach.FAILED)
end

-- The plugins, or nil when that ended the program.
local function list_of(client, unreachable, done)
  client:ask({ target = "/plugins/list" }, function(err, answer)
    local reach = require("agent.console.reach")
    if err then return unreachable(err) end
    local list = answer.status == 200 and require("agent.console.decode")(answer.body)
    if type(list) ~= "table" then return reach.fail("plugins", reach.complaint(answer)) end
    done(list, answer.body)
  end)
end

local function show_list(client, options, unreachable)
  list_of(client, unreachable, function(list, body)
    local text, reach = require("agent.console.text"), require("agent.console.reach")
    if options.json then
      io.stdout:write(text.clean_json(body), "\n")
    else
      local lines = require("agent.console.view.plugins").lines(list, require("host.clock").wall(), reach.columns())
      io.stdout:write(table.concat(lines, "\n"), "\n")
    end
    require("host").exit(reach.OK)
  end)
end

-- Paths of plugins/… take the repository's address; of it only group and project matter.
local function target_of(verb, plugin, options)
  local repo = ("git@agent:%s.git"):format(tostring(plugin.project))
  local target = ("/plugins/%s?ns=%s&repo=%s"):format(verb, escape(tostring(plugin.ns)), escape(repo))
  if verb ~= "run" then return target end
  local seconds = options.timeout or DEFAULT_TIMEOUT
  return ("%s&timeout=%d&param=%s"):format(target, seconds, escape(table.concat(options.args, " ", 4)))
end

local function call(client, options, unreachable)
  local verb, ns, name = unpack(options.args)
  list_of(client, unreachable, function(list)
    local plugin, why = require("agent.console.view.plugins").find(list, ns, name)
    if not plugin then
      return require("agent.console.reach").fail("plugins", require("agent.console.text").clean(why))
    end
    local deadline = verb == "update" and LONGEST_UPDATE or (options.timeout or DEFAULT_TIMEOUT) + MARGIN
    client:ask_patiently({ method = "POST", target = target_of(verb, plugin, options), deadline = deadline },
      function(err, answer)
        if err then return unreachable(err) end
        finish(options, verb, answer)
      end)
  end)
end

local function check_arguments(args)
  for i = 4, #args do
    if args[i] == "" or args[i]:find("[%s%c]") then
      return "an argument with a space in it can't be handed on, the agent splits them at spaces"
    end
  end
end

-- What is wrong with the words, or nil.
local function check(options)
  local args = options.args
  local verb = args[1] or "list"
  if verb == "list" then return args[2] and "list takes no names" or nil end
  if not show[verb] then return ("no verb %s"):format(require("agent.console.text").clean(verb)) end
  if not args[3] then return verb .. " takes NS and NAME" end
  if verb ~= "run" and args[4] then return verb .. " takes no arguments" end
  if options.timeout then
    local seconds = options.timeout:match("^%d+$") and tonumber(options.timeout)
    if not seconds or seconds < 1 or seconds > LONGEST_TIMEOUT then
      return ("--timeout takes seconds from 1 to %d"):format(LONGEST_TIMEOUT)
    end
    options.timeout = seconds
  end
  return check_arguments(args)
end

function M.run(args)
  return require("agent.console.reach").run(M, args, function(client, options, unreachable)
    if (options.args[1] or "list") == "list" then return show_list(client, options, unreachable) end
    call(client, options, unreachable)
  end, check)
end

return M
