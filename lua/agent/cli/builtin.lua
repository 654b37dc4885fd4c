-- `agent builtin list|run|new`: for authors of builtin functions.

local M = {
  summary = "list, try and begin builtin functions",
  usage = "agent builtin list | run NAME | new NAME",
  details = [[
agent builtin list [-f CONF]            which there are, and what is wrong with them
agent builtin run NAME [-f CONF] [--params JSON] [--ns NS] [--times N] [--dir DIR]
                                        runs one as the agent would and prints its metrics
agent builtin new NAME [--dir DIR]      writes NAME.lua and NAME_spec.lua to begin with
]],
}

local verbs = {
  list = { usage = "agent builtin list [-f CONF] [--dir DIR]" },
  run = { usage = "agent builtin run [-f CONF] [--params JSON] [--ns NS] [--times N] [--dir DIR] [NAME]" },
  new = { usage = "agent builtin new [--dir DIR] [NAME]" },
}

local function complain(text)
  io.stderr:write("agent builtin: ", text, "\n")
end

-- Trying a function needs no configuration; one that is named must be there.
local function with_conf(options, named, callback)
  if not named and not require("luv").fs_stat(options.f) then
    return callback(require("agent.config").defaults())
  end
  require("agent.config").load(options.f, function(err, conf)
    if not err then return callback(conf) end
    require("agent.config").show(io.stderr, options.f, err)
    require("host").exit(1)
  end)
end

local function directories(conf, options)
  local list = require("agent.builtin.home").directories(conf)
  if options.dir then
    local dir = options.dir
    list[#list + 1] = dir:sub(1, 1) == "/" and dir or require("luv").cwd() .. "/" .. dir
  end
  return list
end

local function params_text(params)
  local lines, names = {}, {}
  for name in pairs(params or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local one = params[name]
    local more = one.required and ", required" or one.default ~= nil and ", default "
      .. require("agent.json").encode(one.default) or ""
    local line = ("    %s (%s%s) %s"):format(name, one.type or "string", more, one.description or "")
    lines[#lines + 1] = line:gsub("%s+$", "")
  end
  return lines
end

local function describe(name, one)
  local lines = { ("%s  %s"):format(name, one.description or "") }
  lines[2] = "    " .. one.path .. (one.over and ", hides " .. one.over or "")
  if one.interval then lines[2] = ("%s, each %g s"):format(lines[2], one.interval) end
  if one.broken then
    lines[#lines + 1] = ("    broken: %s%s"):format(one.broken.line and "line " .. one.broken.line .. ": " or "",
      one.broken.message)
  end
  for _, line in ipairs(params_text(one.params)) do lines[#lines + 1] = line end
  return table.concat(lines, "\n") .. "\n"
end

function verbs.list.run(options, conf)
  local host = require("host")
  local builtin = conf.builtin
  require("agent.builtin.functions").new({
    directories = directories(conf, options), run = require("agent.worker.client").run, log = require("host.log"),
    user = require("luv").getuid() == 0 and builtin.user or nil,
    request = { slice = builtin.slice, stuck = builtin.stuck, memory = builtin.memory },
  }):describe(function(err, found)
    if err then
      complain(err.message)
      return host.exit(1)
    end
    local names, broken = {}, false
    for name in pairs(found) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      io.stdout:write(describe(name, found[name]))
      broken = broken or found[name].broken
    end
    host.exit(broken and 1 or 0)
  end)
end

local function print_outcome(run)
  local outcome, list = require("agent.outcome"), {}
  for i, metric in ipairs(run.metrics or {}) do
    list[i] = { name = outcome.measurement(run.name, nil, metric.name), value = metric.value, tags = metric.tags }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  io.stdout:write(require("agent.cli.once").table_text(list))
  if run.reason then complain(run.reason) end
  if run.usage then
    io.stderr:write(("%.3f s, %.3f ms of CPU\n"):format(run.usage.seconds, run.usage.cpu_ms))
  end
end

function verbs.run.run(options, conf)
  local host, worst = require("host"), 0
  require("agent.builtin.try").start(options.name, { conf = conf, directories = directories(conf, options),
    params = options.params, ns = options.ns, times = tonumber(options.times), timeout = conf.builtin.timeout,
  }, function(run)
    print_outcome(run)
    if run.status ~= 0 then worst = 1 end
  end, function() host.exit(worst) end)
end

local function write_new(path, text)
  local uv = require("luv")
  local fd, why = uv.fs_open(path, "wx", 420) -- 0644
  if not fd then return nil, why end
  uv.fs_write(fd, text, 0)
  uv.fs_close(fd)
  return true
end

function verbs.new.run(options)
  local name = options.name
  if not name:find("^%a[%w_-]*$") or name:find("_spec$") then
    complain("a name is letters, digits, - and _, and does not end in _spec")
    return 64
  end
  local text, spec = require("agent.builtin.skeleton").of(name)
  for file, content in pairs({ [name .. ".lua"] = text, [name .. "_spec.lua"] = spec }) do
    local path = (options.dir or ".") .. "/" .. file
    local ok, why = write_new(path, content)
    if not ok then
      complain(why)
      return 1
    end
    io.stdout:write(path, "\n")
  end
  return 0
end

function M.run(args)
  local verb = verbs[args[1] or ""]
  if not verb then
    io.stderr:write("usage: ", M.usage, "\n", M.details)
    return 64
  end
  local options, code = require("agent.cli.options").parse(verb, { unpack(args, 2) })
  if not options then return code end
  if verb ~= verbs.list and not options.name then
    io.stderr:write("usage: ", verb.usage, "\n")
    return 64
  end
  if verb == verbs.new then return verb.run(options) end
  local named = table.concat(args, " "):find(" %-%-?f[ =]") ~= nil
  with_conf(options, named, function(conf) verb.run(options, conf) end)
end

return M
