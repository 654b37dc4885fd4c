-- /me/config and /me/items: what is configured, secrets hidden, and what runs. JSON always.

local answer = require("agent.http.answer")
local json = require("agent.json")

local M = {}

local HIDDEN = "(hidden)"
local SECRET = { "passw", "secret", "token", "credential", "auth", "apikey", "dsn" }

-- By its name; what only says where the secret is (tokenfile) is none.
local function is_secret(key)
  local name = tostring(key):lower()
  if name:find("file$") or name:find("path$") then return false end
  for _, part in ipairs(SECRET) do
    if name:find(part, 1, true) then return true end
  end
  return false
end

-- name:password@host in URLs and data source names.
local function without_password(text)
  return (text:gsub("([^%s/:@]*):[^%s@/]*@", function(name)
    return ("%s:%s@"):format(name, HIDDEN)
  end))
end

local function visible(value, key, depth)
  local kind = type(value)
  if (kind == "string" and value ~= "" or kind == "table" and next(value) ~= nil) and is_secret(key)
    and not (kind == "string" and value:sub(1, 1) == "/") then
    return HIDDEN
  end
  if kind == "string" then return without_password(value) end
  if kind ~= "table" then return value end
  if depth > 16 then return nil end
  local copy = {}
  for name, one in pairs(value) do copy[name] = visible(one, name, depth + 1) end
  if value[1] ~= nil then return json.list(copy) end
  return copy
end

local function round(seconds)
  return seconds and math.floor(seconds * 1e6 + 0.5) / 1e3
end

local function items(deps)
  local list, now, wall = {}, deps.now(), deps.wall()
  deps.schedules(function(id, item)
    local last = item.began and math.floor((wall - (now - item.began)) * 1000 + 0.5) / 1000
    list[#list + 1] = { item = id, interval = item.interval, runs = item.runs, missed = item.missed,
      errors = item.errors, running = item.running or false, last_run = last, last_ms = round(item.last_s),
      next_run = item.due and math.floor((wall + item.due - now) * 1000 + 0.5) / 1000,
      last_error = item.last_error and (item.last_error.message or item.last_error.code) }
  end)
  table.sort(list, function(a, b) return a.item < b.item end)
  return list
end

--- Registers the routes. deps: configuration() → the effective one; schedules(visit(id, usage)) as of the scheduler;
--- now() and wall() → seconds.
function M.register(router, deps)
  router:route("GET", "/me/config", function(_, reply)
    return answer.json(reply, 200, json.encode(visible(deps.configuration(), "", 0)))
  end, "read")
  router:route("GET", "/me/items", function(_, reply)
    return answer.json(reply, 200, json.encode(json.list(items(deps))))
  end, "read")
end

return M
