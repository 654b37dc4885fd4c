-- The options of a command, read from its usage line: `[-f CONF]` takes a value, `[--json]` does not,
-- `[GROUP…]` takes the words that are left, behind `--` also those that look like options. One dash or two, `-f FILE`
-- or `-f=FILE`, as Go programs have it; a library for it would weigh more than all commands together.

local M = {}

--- What an option is where it isn't given.
M.defaults = { f = "/etc/agent/agent.lua" }

local function known_options(usage)
  local takes = {}
  for name, value in usage:gmatch("%[%-%-?(%w[%w-]*) ?([%u|%l]*)%]") do takes[name] = value ~= "" end
  return takes, usage:find("%u+…%]") and usage:match("(%u+)…%]"):lower() .. "s", usage:match(" %[(%u+)%]$")
end

local function wrong(command, message)
  io.stderr:write(("%s: %s; usage: %s\n"):format(command.usage:match("^agent %l+"), message, command.usage))
  return nil, 64
end

local function unknown(command, arg)
  local hint = command.usage:find("[--]", 1, true) and " (what isn't ours stands behind --)" or ""
  return wrong(command, "unknown option " .. arg .. hint)
end

--- command: { usage = "agent once [-f CONF] [--json] [GROUP…]" }; args: the words behind its name.
--- Returns { f = "…", json = true, groups = { … } }; or nil, 64 after one line on stderr. `[COMMAND]`
--- at the end takes one word.
function M.parse(command, args)
  local takes, rest, word = known_options(command.usage)
  local options = {}
  if rest then options[rest] = {} end
  local i, verbatim = 1, false
  while i <= #args do
    local name, value = args[i]:match("^%-%-?([^-=][^=]*)=?(.*)$")
    if args[i] == "--" and not verbatim then
      verbatim = true
    elseif name and not verbatim then
      local given = args[i]:find("=", 1, true)
      if takes[name] == nil then return unknown(command, args[i]) end
      if takes[name] and not given then
        i = i + 1
        value = args[i]
      end
      if takes[name] and (value or "") == "" then return wrong(command, "no value for -" .. name) end
      if not takes[name] and given then return wrong(command, "no value is taken by -" .. name) end
      options[name] = takes[name] and value or true
    elseif rest then
      table.insert(options[rest], args[i])
    elseif word and not options[word:lower()] then
      options[word:lower()] = args[i]
    else
      return wrong(command, "unexpected argument " .. args[i])
    end
    i = i + 1
  end
  if takes.f and not options.f then options.f = M.defaults.f end
  return options
end

return M
