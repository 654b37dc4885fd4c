-- `agent tail`: the points that the running agent publishes, as they come.

local M = {
  summary = "follow the points that the agent publishes",
  usage = "agent tail [-f CONF] [--socket PATH] [--ns NS] [--name NAME] [--json]",
  details = "--ns: only those of a namespace; --name: only those of this name, in which * stands for anything.\n"
    .. "--json: the points as JSON, one a line. Goes on when the agent is restarted; Ctrl-C ends it.\n"
    .. "Exit status: 1 the agent refuses, 2 no agent can be reached, 64 wrong usage.\n",
}

local function escape(text)
  return (text:gsub("[^%w%-._~*]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function target_of(options)
  local query = {}
  if options.ns then query[#query + 1] = "ns=" .. escape(options.ns) end
  if options.name then query[#query + 1] = "name=" .. escape(options.name) end
  return query[1] and "/tail?" .. table.concat(query, "&") or "/tail"
end

-- Writes a line; a reader that went away ends us in peace.
local function print_line(line)
  if io.stdout:write(line, "\n") and io.stdout:flush() then return end
  require("host").exit(0)
end

local function printer(options)
  local text = require("agent.console.text")
  if options.json then return function(line) print_line(text.clean_json(line)) end end
  local decode, point = require("agent.console.decode"), require("agent.console.view.point")
  local width = require("agent.console.reach").columns
  return function(line)
    print_line(point.line(decode(line), width()) or text.cut(text.clean(line), width()))
  end
end

function M.run(args)
  local reach = require("agent.console.reach")
  return reach.run(M, args, function(client, options, unreachable)
    require("agent.console.follow").new({
      client = client, target = target_of(options), on_line = printer(options), unreachable = unreachable,
      on_refused = function(answer) reach.fail("tail", reach.complaint(answer)) end,
      on_event = function(what, err)
        if what == "lost" then
          io.stderr:write("agent tail: ", reach.explain(client.address, err), "; trying again\n")
        else
          io.stderr:write("agent tail: connected again\n")
        end
      end,
    }):start()
  end)
end

return M
