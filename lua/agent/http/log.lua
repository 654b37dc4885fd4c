-- /log/offset: the lines of a log file from a byte offset on (contracts.md §4, as the Go agent's first years had it).
-- Only below http.logdirs; read in a worker, because a file may lie on a dead mount.

local answer = require("agent.http.answer")
local json = require("agent.json")

local M = {}

local DEFAULT_LINES, MAX_LINES, AT_ONCE, DEADLINE_MS = 100, 10000, 4, 5000

local DISABLED = "log/offset is off: http.logdirs lists the directories whose files it may show, and is empty"

-- The form of the answer is the contract's, status_code in it; the status line says the same to whoever asks for
-- JSON by name.
local function say(request, reply, status, msg, data, more)
  local parts = { ('"status_code":%d,"msg":%s,"data":%s'):format(status == 200 and 200 or 500, json.encode(msg),
    data or "null") }
  for _, name in ipairs({ "next", "size" }) do
    if more and more[name] then parts[#parts + 1] = ('"%s":%.0f'):format(name, more[name]) end
  end
  return answer.json(reply, answer.wants_json(request) and status or 200, "{" .. table.concat(parts, ",") .. "}")
end

local function whole_number(text, default, max)
  if not text or text == "" then return default end
  local number = text:find("^%d+$") and #text <= 16 and tonumber(text)
  return number and number <= max and number or nil
end

-- The directory that the path lies in, and the rest of it.
local function split(path, directories)
  for _, directory in ipairs(directories) do
    local root = directory:gsub("/+$", "") .. "/"
    if path:sub(1, #root) == root and #path > #root then return root, path:sub(#root + 1) end
  end
end

local statuses = { ENOENT = 404, ENOTDIR = 404, EXDEV = 403, ELOOP = 403, EACCES = 403, EINVAL = 403, ENOSYS = 501 }

local function tell(request, reply, path, err, part)
  if err then
    local status = err.code == "timeout" and 504 or 500
    return say(request, reply, status, ("%s: %s"):format(path, err.message))
  end
  if part.code then return say(request, reply, statuses[part.code] or 500, ("%s: %s"):format(path, part.message)) end
  return say(request, reply, 200, part.cut and "a line is too long and was passed over" or "success", part.data, part)
end

--- Registers the route. deps: conf.logdirs; run(worker, request, options, callback) as of agent.worker.client.
function M.register(router, deps)
  local running = 0
  router:route("GET POST", "/log/offset", function(request, reply)
    local query, conf = request.query, deps.conf
    if not conf.logdirs[1] then return say(request, reply, 404, DISABLED) end
    local offset = whole_number(query.offset, 0, 2 ^ 53)
    if not offset then return say(request, reply, 400, "invalid offset") end
    local num = whole_number(query.num, DEFAULT_LINES, 2 ^ 53)
    if not num then return say(request, reply, 400, "invalid num") end
    local path = query.fpath or ""
    local root, rest = split(path, conf.logdirs)
    if not root then return say(request, reply, 403, "fpath is not below one of http.logdirs") end
    if running >= AT_ONCE then return say(request, reply, 503, "too many at once") end
    running = running + 1
    return deps.run("logpart", { root = root, path = rest, offset = offset, num = math.min(num, MAX_LINES) },
      { deadline_ms = DEADLINE_MS, limits = { address_space = 128 * 1024 * 1024 } }, function(err, part)
        running = running - 1
        tell(request, reply, path, err, part)
      end)
  end)
end

return M
