-- Whether a URL answers as it should, how long each phase took, and for how long its certificate is good.
-- docs/builtins-shipped.md describes each metric.

local params = {
  url = { type = "string", required = true, description = "http or https" },
  method = { type = "string", default = "GET", description = "GET, HEAD, POST …" },
  headers = { type = "table", default = {}, description = "name = value, or a list of lines" },
  body = { type = "string", default = "", description = "what is sent" },
  user = { type = "string", default = "", description = "name:password" },
  status = { type = "list", default = { "200-399" }, description = "statuses that are good: 204, 200-299" },
  match = { type = "string", default = "", description = "text that the answer must hold" },
  pattern = { type = "string", default = "", description = "Lua pattern that must be found in the answer" },
  redirects = { type = "number", default = 0, description = "how many are followed" },
  timeout = { type = "number", default = 5, description = "seconds for all of it" },
  max_body = { type = "number", default = 4194304, description = "bytes that the answer may have, 8 MiB at most" },
  unix = { type = "string", default = "", description = "path of a unix socket to connect to instead" },
  verify = { type = "boolean", default = true, description = "false: any certificate will do" },
  ca_file = { type = "string", default = "", description = "PEM of the authorities that are trusted" },
  certificate = { type = "string", default = "", description = "PEM of our own certificate" },
  key = { type = "string", default = "", description = "PEM of its key" },
}

local DAY = 86400

-- Numbers of `result`. What is not here is our own affair, and a failed run.
local results = { ok = 0, status = 1, match = 2, resolve = 3, connect = 4, tls = 5, timeout = 6, cut = 7, too_large = 8,
  failed = 9 }

--- { { first, last }, … } of { "204", "200-299" }; nil and why.
local function ranges(list)
  local made = {}
  for i, one in ipairs(list) do
    local first, last = tostring(one):match("^(%d%d%d)%-?(%d?%d?%d?)$")
    if not first or #last ~= 0 and #last ~= 3 then
      return nil, ("params.status: %q is neither a status nor a range of them"):format(tostring(one))
    end
    made[i] = { tonumber(first), tonumber(last ~= "" and last or first) }
  end
  if not made[1] then return nil, "params.status: none is good" end
  return made
end

local function within(list, status)
  for _, range in ipairs(list) do
    if status >= range[1] and status <= range[2] then return true end
  end
  return false
end

--- How an answer is judged: the name of its result, and why it isn't good.
local function judge(answer, given, good)
  if not within(good, answer.status) then return "status", ("status %d"):format(answer.status) end
  if given.match ~= "" and not answer.body:find(given.match, 1, true) then
    return "match", ("the answer does not hold %q"):format(given.match)
  end
  if given.pattern ~= "" and not answer.body:find(given.pattern) then
    return "match", ("the answer does not match %q"):format(given.pattern)
  end
  return "ok"
end

--- The URL without passwords, and what comes after the path: to be shown as a tag.
local function public(url)
  local scheme, authority, path = url:match("^(%a+://)([^/?#]*)([^?#]*)")
  if not scheme then return "" end
  return (scheme .. authority:gsub("^.*@", "") .. path):sub(1, 200)
end

local function origin(url)
  return public(url):match("^%a+://[^/]*") .. "/"
end

--- How long each phase took, of the times at which they were over.
local function phases(times)
  local last = 0
  local function since(over)
    local seconds = math.max(0, over - last)
    last = math.max(last, over)
    return seconds
  end
  return {
    ["dns.seconds"] = since(times.dns), ["connect.seconds"] = since(times.connect),
    ["tls.seconds"] = times.tls > 0 and since(times.tls) or nil, ["wait.seconds"] = since(times.first_byte),
    ["transfer.seconds"] = since(times.total), seconds = times.total,
  }
end

-- A run that is stopped at its deadline can't tell that the server is slow: we give up a little earlier.
local function patience(given, ctx)
  return math.min(given.timeout, ctx.deadline() * 0.9)
end

local function request_of(given, ctx)
  local request = { url = given.url, method = given.method, headers = given.headers, verify = given.verify,
    timeout = patience(given, ctx), redirects = given.redirects, max_body = given.max_body }
  for _, name in ipairs({ "body", "user", "unix", "ca_file", "certificate", "key" }) do
    if given[name] ~= "" then request[name] = given[name] end
  end
  return request
end

-- Until when a certificate that was refused is good. Nothing is told to who showed it: no password, path or body.
local function look_at_certificate(given, ctx)
  local answer = ctx.http({ url = origin(given.url), method = "HEAD", verify = false, timeout = patience(given, ctx),
    unix = given.unix ~= "" and given.unix or nil })
  return answer and answer.certificate_expires
end

local function certificate(values, expires, valid, now)
  if not expires then return end
  values["certificate.days"] = (expires - now) / DAY
  values["certificate.valid"] = valid
end

-- What has changed since the run before is worth a line.
local function tell(ctx, result, why)
  if ctx.state.result == result then return end
  if result ~= "ok" then
    ctx.log("warning", why)
  elseif ctx.state.result then
    ctx.log("info", "good again")
  end
  ctx.state.result = result
end

local function measure(answer, given, good, ctx)
  local result, why = judge(answer, given, good)
  local values = phases(answer.times)
  values.status, values.size = answer.status, #answer.body
  certificate(values, answer.certificate_expires, given.verify and 1 or nil, ctx.now())
  return values, result, why
end

-- There was no answer: nil when that is our own affair.
local function measure_failure(given, code, ctx)
  if not results[code] then return nil end
  local values = {}
  if code == "tls" and given.verify then certificate(values, look_at_certificate(given, ctx), 0, ctx.now()) end
  return values, code
end

-- The statuses that are good; nil and why, where the parameters are no good.
local function check_params(given, ctx)
  local ok, why = pcall(string.find, "", given.pattern)
  if not ok then return nil, "params.pattern: " .. tostring(why) end
  if given.ca_file ~= "" then
    ok, why = ctx.read_file(given.ca_file, 1)
    if not ok then return nil, "params.ca_file: " .. why end
  end
  return ranges(given.status)
end

local function run(given, ctx)
  local good, why = check_params(given, ctx)
  if not good then return nil, why end
  local answer, code, values, result
  answer, why, code = ctx.http(request_of(given, ctx))
  if answer then
    values, result, why = measure(answer, given, good, ctx)
  else
    values, result = measure_failure(given, code, ctx)
    if not values then return nil, why end
  end
  tell(ctx, result, why)
  values.up, values.result = result == "ok" and 1 or 0, results[result]
  local list, tags = {}, { url = public(given.url) }
  for name, value in pairs(values) do list[#list + 1] = { name = name, value = value, tags = tags } end
  return list
end

return {
  description = "whether a URL answers as it should, the phases of time, and the days that its certificate is good for",
  params = params, interval = 30, run = run,
  ranges = ranges, judge = judge, public = public, phases = phases, -- for its spec
}
