-- One run of a plugin: what is started, and what its end means.

local limits = require("agent.plugin.limits")

local M = {}

local PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
local GRACE_MS = 1000
local BEFORE_NEXT = 0.5 -- seconds between the deadline of a run and the next one's tick
local SHELL = "/bin/bash"

-- As agent.outcome wants them.
M.OK, M.FAILED, M.TIMED_OUT, M.REFUSED = 0, 1, 2, 3

--- The name without the registry's prefix: PLUGIN.mysql → mysql.
function M.short_name(name)
  return (name:gsub("^PLUGIN%.", ""))
end

--- Seconds that a scheduled run may take.
function M.deadline(record)
  return record.timeout or math.max(BEFORE_NEXT, record.interval - BEFORE_NEXT)
end

-- The whole environment (docs/plugins.md).
local function environment(record, tree)
  return {
    AGENT_NS = record.ns, AGENT_PLUGIN = M.short_name(record.name), AGENT_INTERVAL = tostring(record.interval),
    PATH = PATH, HOME = tree.home, LANG = "C.UTF-8",
  }
end

--- Options of host.exec for a run. how: { seconds, args, owner = "UID:GID" | nil, limits = conf.plugins }.
function M.options(record, tree, how)
  local file = tree.path .. "/" .. tree.entry
  local script = tree.entry == "plugin.sh"
  local argv = script and { "bash", file } or { file }
  for _, arg in ipairs(how.args) do argv[#argv + 1] = arg end
  local own = record.limits or {}
  return {
    path = script and SHELL or file, argv = argv, cwd = tree.path, env = environment(record, tree), user = how.owner,
    deadline_ms = how.seconds * 1000, grace_ms = GRACE_MS, max_output = own.output or how.limits.outputsize,
    limits = limits.of(how.limits, own), cgroup = record.ns .. "." .. record.dir,
  }
end

local function last_line(text)
  local line = text:match("([^\n]+)%s*$")
  return line and line:gsub("%c", " "):sub(1, 200)
end

local function with_stderr(why, result)
  local said = last_line(result.stderr)
  return said and why .. ": " .. said or why
end

--- Why the process itself failed: status, reason; nil when it ended as it should. An exit status other than 0 is
--- not judged here: for a Nagios plugin it is its finding.
function M.judge(result)
  if result.error and not result.timed_out then
    return M.FAILED, ("cannot be started: %s"):format(result.error.message)
  end
  if result.stuck then return M.TIMED_OUT, "plugin timeout, and KILL does not end it" end
  if result.timed_out then return M.TIMED_OUT, "plugin timeout" end
  if result.signal ~= 0 then return M.FAILED, with_stderr(("killed by signal %d"):format(result.signal), result) end
  if result.truncated then return M.REFUSED, "more output than plugins.outputsize allows" end
end

--- Why a run with this exit status failed, or nil for 0.
function M.exit_reason(result)
  if result.code ~= 0 then return with_stderr(("exit status %d"):format(result.code), result) end
end

--- What the run cost, for agent.outcome.
function M.usage(result)
  local used = result.rusage
  return {
    seconds = result.duration_ms / 1000, cpu_ms = used and used.user_ms + used.system_ms, maxrss = used and used.maxrss,
    output_bytes = #result.stdout,
  }
end

return M
