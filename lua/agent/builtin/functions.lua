-- The table of builtin functions: which files there are, which of them are good. A short-lived worker loads what
-- changed, so that a file that hangs harms nobody; the builtin worker is told afterwards.

local M = {}
M.__index = M

local DEADLINE_MS, MOST_HANGS = 20000, 5

--- options: directories; request (a table of limits for the worker); run (as worker.client's); user; log.
function M.new(options)
  return setmetatable({ directories = options.directories, request = options.request, run = options.run,
    user = options.user, log = options.log, known = {}, hangs = {}, list = {} }, M)
end

local function request_of(self, describe)
  local request = { check = true, directories = self.directories, known = describe and {} or self.known,
    hangs = self.hangs, describe = describe }
  for name, value in pairs(self.request) do request[name] = value end
  return request
end

-- callback(err, found). A file that kills the worker when it is loaded is left out of the next attempt.
local function examine(self, describe, callback, attempt)
  local loading
  self.run("builtin", request_of(self, describe), {
    deadline_ms = DEADLINE_MS, user = self.user, on_item = function(item) loading = item end,
    limits = { cpu_s = 20 },
  }, function(err, found)
    if not err then return callback(nil, found) end
    local again = loading and not self.hangs[loading[3]] and (err.code == "crashed" or err.code == "timeout")
    if not again or attempt == MOST_HANGS then return callback(err) end
    self.hangs[loading[3]] = loading[4] .. loading[5]
    examine(self, describe, callback, attempt + 1)
  end)
end

local function report_broken(self, name, one)
  local broken = one.broken
  self.log.error("builtin", ("%s:%s %s"):format(one.path, broken.line and broken.line .. ":" or "", broken.message),
    { builtin = name, kept = self.list[name] and "the version before" or nil })
  return { name = name, path = one.path, line = broken.line, message = broken.message }
end

-- One file that is new or not as it was.
local function take(self, name, one, change)
  local before = self.list[name]
  self.known[name] = one.path .. one.print
  if one.over and not (before and before.over == one.over) then
    self.log.info("builtin", ("%s hides %s"):format(one.path, one.over), { builtin = name })
  end
  if one.broken then
    change.broken[#change.broken + 1] = report_broken(self, name, one)
    if before then before.broken = one.broken end
    self.bad[name] = change.broken[#change.broken]
  else
    self.bad[name] = nil
    self.list[name] = { path = one.path, interval = one.interval, over = one.over }
    change.loaded[#change.loaded + 1] = name
  end
end

local function compare(self, found)
  local change = { loaded = {}, removed = {}, broken = {} }
  self.bad = self.bad or {}
  for name, one in pairs(found) do
    if not one.same then take(self, name, one, change) end
  end
  for name in pairs(self.known) do
    if not found[name] then
      if self.list[name] then change.removed[#change.removed + 1] = name end
      self.known[name], self.list[name], self.bad[name], self.hangs[name] = nil, nil, nil, nil
    end
  end
  for _, names in pairs({ change.loaded, change.removed }) do table.sort(names) end
  return change
end

--- Looks which files changed and loads those; callback(err, { loaded = names, removed = names, broken = { { name, path,
--- line, message } … } }). self.list[name] = { path, interval, over, broken } of the good ones, and of those whose last
--- good version is still in force; self.bad[name] = the message of those that can't be loaded now.
function M:update(callback)
  examine(self, false, function(err, found)
    if err then
      self.log.error("builtin", "the files could not be examined", { reason = err.message })
      return callback(err)
    end
    callback(nil, compare(self, found))
  end, 1)
end

--- For people: callback(err, { [name] = { path, over, broken, description, interval, params } }).
function M:describe(callback)
  examine(self, true, callback, 1)
end

return M
