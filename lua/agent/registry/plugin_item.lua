-- Items of type PLUGIN (contracts.md §1.2.2, §5): which repository, how often, with which arguments and limits.

local repository = require("agent.repository")

local M = {}

local SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 1, 86400

-- As in the configuration's section `plugins`: key of an item → name of the limit.
local LIMITS = {
  cpuseconds = "cpu_s", addressspace = "address_space", processes = "processes", openfiles = "open_files",
  filesize = "file_size", outputsize = "output", memory = "memory", cpu = "cpu",
}

local function check_git(git)
  if git == "" then return "git is missing" end
  if #git > 1024 or git:find("[%c%s]") or git:find("^%-") then return "git: not the address of a repository" end
  local _, dir = repository.project_of(git)
  if dir:find("^[%w_][%w._-]*$") then return nil end
  return ("git: %q does not end in the name of a project: letters, digits, - _ and ."):format(dir)
end

local function whole(text, key, lowest, highest)
  local n = tonumber(text)
  if n and n % 1 == 0 and n >= lowest and n <= highest then return n end
  return nil, ("%s: %q is not a whole number from %d to %d"):format(key, text, lowest, highest)
end

local function read_limits(item, text_of)
  local limits
  for key, name in pairs(LIMITS) do
    local text = text_of(item[key])
    if text ~= "" then
      local n = tonumber(text)
      if not n or n <= 0 or n >= 2 ^ 53 or (key ~= "cpu" and n % 1 ~= 0) then
        return nil, ("%s: %q is not a number above 0"):format(key, text)
      end
      limits = limits or {}
      limits[name] = n
    end
  end
  return limits
end

local function read_ref(text)
  if text == "" then return nil end
  if #text > 200 or not text:find("^[%w_][%w._/+-]*$") or text:find("..", 1, true) then
    return nil, ("ref: %q is no branch, tag or commit"):format(text)
  end
  return text
end

--- Completes `record` (name) from a raw item. text_of(value) gives the trimmed text of any of its values. Returns the
--- record or nil and the reason of a refusal. Record: git, project ("group/project"), dir ("project"), ref, interval
--- (seconds, 0: on call only), timeout (seconds or nil), args, limits (by name, or nil).
function M.complete(record, item, text_of)
  local why
  record.git = text_of(item.git)
  why = check_git(record.git)
  if why then return nil, why end
  record.project, record.dir = repository.project_of(record.git)
  record.interval, why = whole(text_of(item.interval), "interval", 0, 86400)
  if why then return nil, why end
  record.args, why = repository.arguments(text_of(item.parameters))
  if why then return nil, why end
  record.ref, why = read_ref(text_of(item.ref))
  if why then return nil, why end
  if text_of(item.timeout) ~= "" then
    record.timeout, why = whole(text_of(item.timeout), "timeout", SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
    if why then return nil, why end
  end
  record.limits, why = read_limits(item, text_of)
  if why then return nil, why end
  return record
end

return M
