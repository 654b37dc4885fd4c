-- A table as a configuration file returns it → the complete, typed configuration. All problems are
-- collected; a key's value never appears in a message, because it may be a secret.

local luafile = require("agent.luafile")
local nearest = require("agent.config.nearest")
local schema = require("agent.config.schema")
local types = require("agent.config.types")

local M = {}

local function split(key)
  local section, name = key:match("^([^.]*)%.(.*)$")
  return section or key, name
end

-- Sections that have keys of their own → entries by name; other entries stand at the top.
local function by_section()
  local sections, top = {}, {}
  for _, entry in ipairs(schema) do
    local section, name = split(entry.key)
    if name then
      sections[section] = sections[section] or {}
      sections[section][name] = entry
    elseif entry.type == "section" then
      sections[section] = sections[section] or {}
    else
      top[section] = entry
    end
  end
  return sections, top
end

local function known_keys()
  local keys, seen = {}, {}
  for _, entry in ipairs(schema) do
    local section = split(entry.key)
    if not seen[section] then
      seen[section] = true
      keys[#keys + 1] = section
    end
    if section ~= entry.key then keys[#keys + 1] = entry.key end
  end
  return keys
end

local function default_of(entry, conf, at)
  local default = entry.default
  if type(default) == "function" then return default(conf, at) end
  if type(default) ~= "table" then return default end
  local copy = {}
  for k, v in pairs(default) do copy[k] = v end
  return copy
end

-- "got a string, want …", and for a list or map which of its items is meant.
local function refusal(entry, value, item)
  local at = item ~= nil and type(value) == "table" and (" (at item %s)"):format(tostring(item)) or ""
  local got = type(value) == "number" and "a number that is not allowed" or "a " .. type(value)
  if type(value) == "string" and value == "" then got = "an empty string" end
  return ("got %s%s, want %s"):format(got, at, types[entry.type].wants(entry))
end

local function unknown(report, key)
  local near = nearest(key, known_keys())
  report(key, near and ("unknown key, did you mean %s?"):format(near) or "unknown key")
end

-- Keys that no entry knows, at the top and in each section; a section that is no table becomes none.
local function check_keys(given, sections, top, report, warn)
  local kept = {}
  for key, value in pairs(given) do
    local path = luafile.join("", key)
    if top[key] then
      if top[key].type == "ignored" then warn(path, "ignored: " .. top[key].says) else kept[key] = value end
    elseif not sections[key] then
      unknown(report, path)
    elseif type(value) ~= "table" then
      report(path, ("got a %s, want a table"):format(type(value)))
    else
      kept[key] = value
      for name in pairs(value) do
        local entry = sections[key][name]
        if not entry then
          unknown(report, luafile.join(path, name))
        elseif entry.type == "ignored" then
          warn(luafile.join(path, name), "ignored: " .. entry.says)
        end
      end
    end
  end
  return kept
end

local function read_value(entry, value, path, report)
  if value == nil then return nil end
  local read, item = types[entry.type].read(value, entry)
  if read == nil then report(path, refusal(entry, value, item)) end
  return read
end

-- output.also: each of its tables has the keys of `output`, and defaults of its own.
local function read_outputs(list, conf, known, report)
  if type(list) ~= "table" then return report("output.also", "got a " .. type(list) .. ", want a list of tables") end
  local outputs = {}
  for i, given in ipairs(list) do
    local path = luafile.join("output.also", i)
    if type(given) ~= "table" then return report(path, "got a " .. type(given) .. ", want a table") end
    for key in pairs(given) do
      if not known[key] or key == "also" then unknown(report, luafile.join(path, key)) end
    end
    local output = {}
    for _, entry in ipairs(schema) do
      local section, name = split(entry.key)
      if section == "output" and name ~= "also" and types[entry.type] then
        output[name] = read_value(entry, given[name], luafile.join(path, name), report)
        if output[name] == nil then output[name] = default_of(entry, conf, output) end
      end
    end
    outputs[i] = output
  end
  return outputs
end

-- What the outputs must be together.
local function check_outputs(output, report)
  local directories, required = {}, false
  for i, one in ipairs({ output, unpack(output.also) }) do
    local path = i == 1 and "output" or luafile.join("output.also", i - 1)
    if directories[one.spooldir] then report(path .. ".spooldir", "another output has the same; each needs its own") end
    directories[one.spooldir] = true
    required = required or one.required
  end
  if not required then report("output.required", "no output is required: then nothing could ever be acknowledged") end
end

local function read_entry(entry, given, conf, sections, report)
  local section, name = split(entry.key)
  local from = name and given[section] or given
  local value = from and from[name or section]
  local read
  if entry.type == "outputs" then
    read = value ~= nil and read_outputs(value, conf, sections.output, report) or nil
  else
    read = read_value(entry, value, entry.key, report)
  end
  if read == nil then read = default_of(entry, conf) end
  if name then conf[section][name] = read else conf[section] = read end
end

local function in_order(problems)
  table.sort(problems, function(a, b)
    if (a.line or 0) ~= (b.line or 0) then return (a.line or 0) < (b.line or 0) end
    return a.key < b.key
  end)
  return problems
end

-- Whoever is reached from elsewhere wants to know who changes things.
local function check_together(conf, report)
  if conf.http.tlscert == "" and (conf.http.tlskey ~= "" or conf.http.tlsca ~= "") then
    report("http.tlscert", "must be set where http.tlskey or http.tlsca is")
  end
  if conf.http.tokenfile ~= "" then return end
  local host = conf.agent.listen:match("^%[?(.-)%]?:%d+$")
  local loopback = not host or host:find("^127%.") or host == "::1" or host == "localhost"
  if not loopback then
    report("http.tokenfile", "must be set when agent.listen is not on loopback: changing needs a token there")
  elseif conf.http.loopback == "token" then
    report("http.tokenfile", 'must be set when http.loopback is "token"')
  end
end

-- The same of one output.
local function second_thoughts_of_output(output, path, warn)
  if output.name == "influxdb" and output.url:find("^http:") and (output.token ~= "" or output.password ~= "") then
    warn(path .. ".url", "passwords and tokens go through the network in plain text; https:// would hide them")
  end
  for _, server in ipairs(output.name == "nsq" and output.tls and output.servers or {}) do
    if not server:find("^tcp:") and not server:find("^https:") then
      warn(path .. ".tls", "has no effect on servers over http; https://HOST:PORT has TLS")
      break
    end
  end
end

-- What is allowed and yet seldom meant.
local function second_thoughts(conf, warn)
  if conf.agent.pluginsuser == "root" then
    warn("agent.pluginsuser", "plugins run as root; a user without rights is safer")
  end
  local user = conf.agent.pluginsuser
  if user ~= "" and not require("agent.user").find(user) then
    warn("agent.pluginsuser", "this machine has no such user: plugins will not run")
  end
  for i, output in ipairs({ conf.output, unpack(conf.output.also) }) do
    second_thoughts_of_output(output, i == 1 and "output" or luafile.join("output.also", i - 1), warn)
  end
  if conf.agent.registryaddr == "" then
    warn("agent.registryaddr", "no registry: there are no namespaces, so nothing is published")
  end
end

--- given: the table of a configuration file; lines: key path → line number, or nil.
--- Returns conf, warnings; or nil, problems. Both are arrays of { key =, line = | nil, message = }.
function M.validate(given, lines)
  local problems, warnings = {}, {}
  local function into(list)
    return function(key, message)
      list[#list + 1] = { key = key, line = lines and lines[key], message = message }
    end
  end
  local report, warn = into(problems), into(warnings)
  if type(given) ~= "table" then
    report("", ("got a %s, want a table"):format(type(given)))
    return nil, problems
  end
  local sections, top = by_section()
  given = check_keys(given, sections, top, report, warn)
  local conf = {}
  for section in pairs(sections) do conf[section] = {} end
  for _, entry in ipairs(schema) do
    if types[entry.type] then read_entry(entry, given, conf, sections, report) end
  end
  check_outputs(conf.output, report)
  if #problems == 0 then check_together(conf, report) end
  if #problems > 0 then return nil, in_order(problems) end
  second_thoughts(conf, warn)
  return conf, in_order(warnings)
end

return M
