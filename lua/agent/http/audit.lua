-- Every changing call in the log, with who and result. The first of a kind at once; what repeats itself within
-- ten seconds (programs post all the time) is counted and written as one line.

local M = {}
M.__index = M

local GATHER_SECONDS, MAX_KINDS, RESULT_BYTES = 10, 256, 120

--- options: log; after (seconds, fn).
function M.new(options)
  return setmetatable({ log = options.log, after = options.after, kinds = {}, count = 0 }, M)
end

local function write(self, kind)
  local fields = {}
  for name, value in pairs(kind) do fields[name] = name ~= "timer" and value or nil end
  self.log.info("http", "change", fields)
end

-- A kind lives for one span of time; what came again is written at its end.
local function end_of(self, key, kind)
  self.kinds[key], self.last = nil, nil
  self.count = self.count - 1
  if kind.times > 0 then write(self, kind) end
end

local function first_line(body)
  return (body or ""):match("^[^\r\n]*"):sub(1, RESULT_BYTES)
end

-- A URL may carry one: https://name:password@host/…
local function without_password(url)
  return url and (url:gsub("//[^/]*@", "//"))
end

-- Whether it is the same again as what was noted last: programs post all the time.
local function as_last(last, who, request, status, body)
  return last and last.who == who and last.call == request.path and last.ns == request.query.ns
    and not request.query.repo and last.status == status and last.body == body
end

--- Writes down one call; `body` is what was answered.
function M:note(who, request, status, body)
  local query = request.query
  if as_last(self.last, who, request, status, body) then
    self.last.kind.times = self.last.kind.times + 1
    return
  end
  local kind = { who = who, call = request.path, ns = query.ns, repo = without_password(query.repo), status = status,
    result = first_line(body) }
  local key = table.concat({ who, kind.call, kind.ns or "", kind.repo or "", status, kind.result }, "\0")
  local known = self.kinds[key]
  if known then
    known.times = known.times + 1
    self.last = not query.repo and { kind = known, who = who, call = kind.call, ns = kind.ns, status = status,
      body = body } or nil
    return
  end
  write(self, kind)
  if self.count >= MAX_KINDS then return end
  self.kinds[key] = kind
  self.count = self.count + 1
  kind.times = 0
  kind.timer = self.after(GATHER_SECONDS, function() end_of(self, key, kind) end)
end

--- Writes what was counted, at once.
function M:close()
  for key, kind in pairs(self.kinds) do
    kind.timer:cancel()
    end_of(self, key, kind)
  end
end

return M
