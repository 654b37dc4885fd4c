-- Writes messages to InfluxDB, 1.x or 2.x: lines, batches, gzip, databases that don't exist yet, batches of which a
-- part is refused. Blocks: for the influxdb worker.

local answer = require("agent.publish.influx.answer")
local lines_of = require("agent.publish.influx.lines").of

local M = {}
M.__index = M

local COMPRESS_FROM = 1024
local SEARCH_MAX = 64 -- requests for one message batch, when lines that are to blame are searched for

--- conf: url, org, bucket, user, auth, batchsize of conf.output; secrets() → password, token (each may be nil).
--- session: of curl; gzip(text) → text; now() → monotonic seconds.
function M.new(conf, options)
  return setmetatable({ conf = conf, v2 = conf.org ~= "", session = options.session, gzip = options.gzip,
    now = options.now, secrets = options.secrets }, M)
end

local function escape(text)
  return (text:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for i = 1, 4 do
      local digit = math.floor(n / 64 ^ (4 - i)) % 64 + 1
      local empty = (i == 3 and not b) or (i == 4 and not c)
      out[#out + 1] = empty and "=" or digits:sub(digit, digit)
    end
  end
  return table.concat(out)
end

-- How this configuration proves who it is: what is added to a query, and a header or nil.
local function credentials(self)
  local conf, password, token = self.conf, self.secrets()
  if token then return "", "Authorization: Token " .. token end
  if conf.user == "" then return "" end
  if conf.auth == "query" then
    return "&u=" .. escape(conf.user) .. "&p=" .. escape(password or "")
  end
  return "", "Authorization: Basic " .. base64(conf.user .. ":" .. (password or ""))
end

-- One request within what is left of the job's time; the result of curl.
local function request(self, target, body, headers)
  local left = (self.deadline - self.now()) * 1000
  if left < 1 then return { code = "timeout", message = "no answer in time", status = 0 } end
  local query, header = credentials(self)
  headers[#headers + 1] = header
  headers[#headers + 1] = "Expect:"
  self.session:renew(left)
  local id, why = self.session:add({ url = self.conf.url .. target .. query, body = body, headers = headers })
  if not id then return { code = "failed", message = why, status = 0 } end
  local _, result = self.session:next()
  return result
end

local function write(self, database, body)
  local conf = self.conf
  local headers = { "Content-Type: text/plain; charset=utf-8" }
  if #body >= COMPRESS_FROM then
    body = self.gzip(body)
    headers[2] = "Content-Encoding: gzip"
  end
  local target = "/write?db=" .. escape(database) .. "&precision=s"
  if self.v2 then
    local bucket = conf.bucket ~= "" and conf.bucket or database
    target = ("/api/v2/write?org=%s&bucket=%s&precision=s"):format(escape(conf.org), escape(bucket))
  end
  return request(self, target, body, headers)
end

-- true, or a verdict that says why there still is no such database.
local function create(self, database)
  local statement = 'CREATE DATABASE "' .. database:gsub('["\\]', "\\%0") .. '"'
  local result = request(self, "/query?db=", "q=" .. escape(statement),
    { "Content-Type: application/x-www-form-urlencoded" })
  local refused = not result.code and (result.body or ""):match('"error":"([^"]*)')
  if not result.code and result.status == 200 and not refused then return true end
  local verdict = { kind = "keep", code = result.code or "HTTP_" .. result.status, retry_after = result.retry_after }
  verdict.message = ("there is no database %s, and creating it failed: %s"):format(database,
    result.message or refused or ("status %d: %s"):format(result.status, answer.said(result.body):sub(1, 200)))
  return verdict
end

local function lose(job, cause, count, why)
  job.dropped[cause] = (job.dropped[cause] or 0) + count
  job.why = job.why or why
end

local post

local function slice(list, from, to)
  local part = {}
  for i = from, to do part[#part + 1] = list[i] end
  return part
end

-- The lines that the server quotes as those it can't parse, and the others.
local function quoted(lines, text)
  local wrong, others = {}, {}
  for _, line in ipairs(lines) do
    local list = text:find("unable to parse '" .. line, 1, true) and wrong or others
    list[#list + 1] = line
  end
  return wrong, others
end

-- What is left of a search: lost, unless nothing was ever taken and nothing says that the lines are wrong. Then it is
-- the server that refuses, whatever it is given.
local function conclude(job, lines, verdict)
  if verdict.cause or job.stored > 0 then return lose(job, verdict.cause or "refused", #lines, verdict.why) end
  return { kind = "keep", code = "HTTP_400", message = "status 400: " .. verdict.why, undecided = true }
end

-- Of lines that were refused together, finds those that are to blame. Returns nil, or the verdict that says why all
-- are kept.
local function search(self, job, database, lines, verdict)
  local wrong, others = quoted(lines, verdict.text)
  if wrong[1] then
    lose(job, verdict.cause, #wrong, verdict.why)
    return others[1] and post(self, job, database, others)
  end
  if #lines == 1 or job.searched >= SEARCH_MAX then return conclude(job, lines, verdict) end
  job.searched = job.searched + 1
  local middle = math.floor(#lines / 2)
  local first, second = slice(lines, 1, middle), slice(lines, middle + 1, #lines)
  local why = post(self, job, database, first)
  if why and not why.undecided then return why end
  local other = post(self, job, database, second)
  if other or not why then return other end
  return post(self, job, database, first) -- now that the server is known to take something
end

-- Writes lines to a database. Returns nil when they are settled, or the verdict that says why they are kept.
function post(self, job, database, lines)
  local result = write(self, database, table.concat(lines, "\n") .. "\n")
  local verdict = answer.judge(result, #lines, self.v2)
  if verdict.kind == "create" and not job.created[database] then
    job.created[database] = true
    local made = create(self, database)
    if made ~= true then return made end
    return post(self, job, database, lines)
  elseif verdict.kind == "create" then
    return { kind = "keep", code = "HTTP_404", message = "database not found: " .. database }
  elseif verdict.kind == "search" then
    return search(self, job, database, lines, verdict)
  elseif verdict.kind == "keep" then
    return verdict
  end
  job.stored = job.stored + #lines - verdict.lost
  if verdict.lost > 0 then lose(job, verdict.cause, verdict.lost, verdict.why) end
end

-- Lines in bodies of at most batchsize bytes each, sent one after the other.
local function post_all(self, job, database, lines)
  local part, bytes = {}, 0
  for i, line in ipairs(lines) do
    part[#part + 1], bytes = line, bytes + #line + 1
    local following = lines[i + 1]
    if not following or bytes + #following + 1 > self.conf.batchsize then
      local why = post(self, job, database, part)
      if why then return why end
      part, bytes = {}, 0
    end
  end
end

local function by_database(job, messages)
  local order, groups = {}, {}
  for i, text in ipairs(messages) do
    local database, lines, dropped = lines_of(text)
    if not database then
      job.bad[#job.bad + 1], job.why = i, lines
    else
      if not groups[database] then
        groups[database] = {}
        order[#order + 1] = database
      end
      for _, line in ipairs(lines) do table.insert(groups[database], line) end
      for cause, count in pairs(dropped or {}) do lose(job, cause, count, "it can't be said in line protocol") end
    end
  end
  return order, groups
end

--- Writes messages (their bytes) within `seconds`. Returns { stored = lines, dropped = { [cause] = points }, bad =
--- numbers of messages that are none, why = what was said of what is lost | nil, err = { code =, message =,
--- retry_after = } | nil }. With err nothing is certain and all is to be written again.
function M:write(messages, seconds)
  self.deadline = self.now() + seconds
  local job = { stored = 0, dropped = {}, bad = {}, created = {}, searched = 0 }
  local order, groups = by_database(job, messages)
  for _, database in ipairs(order) do
    local why = post_all(self, job, database, groups[database])
    if why then
      job.err = { code = why.code, message = why.message, retry_after = why.retry_after }
      break
    end
  end
  return { stored = job.stored, dropped = job.dropped, bad = job.bad, why = job.why, err = job.err }
end

return M
