-- Asks a DNS server for a name: time, response code, and whether the answers are those expected. RFC 1035, 3596,
-- 2782; the answer comes from anyone, and is read as such.

local TYPES = { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, CAA = 257,
  ANY = 255 }
local CODES = { [0] = "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED" }
local RECORDS = 500 -- of an answer are looked at

local function u16(n) return string.char(math.floor(n / 256) % 256, n % 256) end

local function read16(text, at)
  local a, b = text:byte(at, at + 1)
  if not b then error("cut off", 0) end
  return a * 256 + b
end

local function read32(text, at) return read16(text, at) * 65536 + read16(text, at + 2) end

-- "example.org" as labels with their lengths; nil and why not.
local function encode_name(name)
  local made, rest = {}, name:gsub("%.$", "")
  if rest == "" then return "\0" end
  for label in (rest .. "."):gmatch("([^.]*)%.") do
    if label == "" or #label > 63 then return nil, ("%q is no name: a label has 1 to 63 bytes"):format(name) end
    made[#made + 1] = string.char(#label) .. label
  end
  local text = table.concat(made) .. "\0"
  if #text > 255 then return nil, ("%q is no name: longer than 255 bytes"):format(name) end
  return text
end

local function query_of(id, name, kind, recursion)
  return u16(id) .. u16(recursion and 256 or 0) .. u16(1) .. u16(0) .. u16(0) .. u16(0) .. name .. u16(kind) .. u16(1)
end

-- The name at `at`, in lower case, and where it ends. Pointers lead backwards only, so that none goes in circles.
local function read_name(text, at)
  local labels, total, ends, limit = {}, 0, nil, at
  while true do
    local n = text:byte(at)
    if not n then error("cut off", 0) end
    if n >= 192 then
      local target = read16(text, at) % 16384 + 1
      ends = ends or at + 2
      if target >= limit then error("a name that points forward", 0) end
      at, limit = target, target
    elseif n >= 64 then
      error("a label of an unknown kind", 0)
    elseif n == 0 then
      return table.concat(labels, "."):lower(), ends or at + 1
    else
      total = total + n + 1
      if total > 255 then error("a name longer than 255 bytes", 0) end
      if at + n > #text then error("cut off", 0) end
      labels[#labels + 1] = text:sub(at + 1, at + n)
      at = at + n + 1
    end
  end
end

-- As RFC 5952 wants it written.
local function ipv6_text(groups)
  local best, length = nil, 1
  for i = 1, 8 do
    local n = 0
    while groups[i + n] == 0 do n = n + 1 end
    if n > length then best, length = i, n end
  end
  local parts = {}
  for i = 1, 8 do
    if best and i == best then
      parts[#parts + 1] = i == 1 and "::" or ":"
    elseif not best or i < best or i >= best + length then
      parts[#parts + 1] = ("%x"):format(groups[i]) .. (i < 8 and ":" or "")
    end
  end
  return table.concat(parts)
end

local function ipv6_groups(text)
  local before, after = text:match("^(.-)::(.*)$")
  local groups, tail = {}, {}
  for group in (before or text):gmatch("[^:]+") do groups[#groups + 1] = tonumber(group, 16) or 65536 end
  for group in (after or ""):gmatch("[^:]+") do tail[#tail + 1] = tonumber(group, 16) or 65536 end
  if before then
    while #groups + #tail < 8 do groups[#groups + 1] = 0 end
  end
  for _, group in ipairs(tail) do groups[#groups + 1] = group end
  for _, group in ipairs(groups) do if group > 65535 then return nil end end
  return #groups == 8 and groups or nil
end

local function name_alone(text, at) return (read_name(text, at)) end

local readers = {
  [1] = function(text, at, n)
    if n ~= 4 then error("an A record that is not 4 bytes", 0) end
    return ("%d.%d.%d.%d"):format(text:byte(at, at + 3))
  end,
  [28] = function(text, at, n)
    if n ~= 16 then error("an AAAA record that is not 16 bytes", 0) end
    local groups = {}
    for i = 0, 7 do groups[i + 1] = read16(text, at + 2 * i) end
    return ipv6_text(groups)
  end,
  [2] = name_alone, [5] = name_alone, [12] = name_alone,
  [15] = function(text, at) return ("%d %s"):format(read16(text, at), (read_name(text, at + 2))) end,
  [33] = function(text, at)
    return ("%d %d %d %s"):format(read16(text, at), read16(text, at + 2), read16(text, at + 4),
      (read_name(text, at + 6)))
  end,
  [6] = function(text, at)
    local primary, next_at = read_name(text, at)
    local mail, numbers = read_name(text, next_at)
    return ("%s %s %d"):format(primary, mail, read32(text, numbers))
  end,
  [16] = function(text, at, n)
    local parts, stop = {}, at + n
    while at < stop do
      local length = text:byte(at)
      if at + length >= stop then error("a text longer than its record", 0) end
      parts[#parts + 1] = text:sub(at + 1, at + length)
      at = at + 1 + length
    end
    return table.concat(parts)
  end,
}

local function read_record(text, at)
  local record = {}
  record.name, at = read_name(text, at)
  record.type, record.class, record.ttl = read16(text, at), read16(text, at + 2), read32(text, at + 4)
  local n = read16(text, at + 8)
  at = at + 10
  if at + n - 1 > #text then error("a record longer than the message", 0) end
  local reader = record.class == 1 and readers[record.type]
  record.text = reader and reader(text, at, n) or ("%d bytes"):format(n)
  return record, at + n
end

local function read_message(text, id, question)
  local flags = read16(text, 3)
  if read16(text, 1) ~= id or flags < 32768 then error("not an answer to our question", 0) end
  local message = { rcode = flags % 16, truncated = math.floor(flags / 512) % 2 == 1,
    authoritative = math.floor(flags / 1024) % 2 == 1, answers = {} }
  local questions, answers = read16(text, 5), read16(text, 7)
  local at = 13
  -- A server that refuses may leave the question out.
  if questions == 1 then
    local _, ends = read_name(text, at)
    read32(text, ends)
    if text:sub(at, ends + 3):lower() ~= question:lower() then error("an answer to another question", 0) end
    at = ends + 4
  elseif questions ~= 0 or answers > 0 then
    error("an answer to another question", 0)
  end
  for i = 1, math.min(answers, RECORDS) do
    if message.truncated and at > #text then break end
    message.answers[i], at = read_record(text, at)
  end
  return message
end

--- A message with what its answers say; nil and what is wrong with it.
local function parse(text, id, question)
  local ok, message = pcall(read_message, text, id, question)
  if not ok then return nil, tostring(message) end
  return message
end

local function normal(text)
  local groups = text:find(":", 1, true) and ipv6_groups(text)
  if groups then return ipv6_text(groups) end
  return (text:lower():gsub("%.$", ""))
end

local function same_answers(job, found)
  local have = {}
  for _, text in ipairs(found) do have[normal(text)] = true end
  for _, wanted in ipairs(job.expect) do
    if not have[normal(wanted)] then return false, ("%s is not among the answers: %s"):format(wanted,
      found[1] and table.concat(found, ", "):sub(1, 200) or "there are none") end
  end
  return true
end

local function first_server(ctx)
  local text, why = ctx.read_file("/etc/resolv.conf", 65536)
  if not text then return nil, why end
  local server = ("\n" .. text):match("\n%s*nameserver%s+(%S+)")
  if not server then return nil, "/etc/resolv.conf names no server: params.server is needed" end
  return server
end

local function number_of_type(text)
  local number = TYPES[text:upper()] or tonumber(text:match("^TYPE(%d+)$"))
  if not number or number > 65535 then return nil, ("type: %q is not known: A, AAAA, MX, …, or TYPE65"):format(text) end
  return number
end

local function within(params, name, least, most)
  local value = params[name]
  if value < least or value > most or (name ~= "timeout" and value % 1 ~= 0) then
    return nil, ("%s: %g is not %g to %g"):format(name, value, least, most)
  end
  return value
end

local function prepare(params, ctx)
  local job, why = { expect = params.expect or {}, rcode = params.rcode:upper(), tcp = params.tcp }
  job.encoded, why = encode_name(params.name)
  if not job.encoded then return nil, "name: " .. why end
  for _, check in ipairs({ { "port", 1, 65535 }, { "tries", 1, 10 }, { "timeout", 0.01, 30 } }) do
    job[check[1]], why = within(params, check[1], check[2], check[3])
    if why then return nil, why end
  end
  if job.tries * job.timeout > ctx.deadline() - 0.2 then
    return nil, ("tries x timeout is %g s, a run has %.1f s"):format(job.tries * job.timeout, ctx.deadline())
  end
  job.type, why = number_of_type(params.type)
  if not job.type then return nil, why end
  job.server = params.server
  if not job.server then job.server, why = first_server(ctx) end
  if not job.server then return nil, why end
  job.id = math.random(0, 65535)
  job.query = query_of(job.id, job.encoded, job.type, params.recursion)
  return job
end

-- Answers that are not ours, or broken, are passed over: someone may guess; the right one may still come.
local function receive(socket, job, ctx, ends)
  local wrong
  while true do
    local text, why, code = socket:receive(math.max(0, ends - ctx.mono()))
    if not text then return nil, code == "timeout" and wrong or why end
    local message
    message, wrong = parse(text, job.id, job.query:sub(13))
    if message then return message end
  end
end

local function ask_tcp(job, ctx)
  local connection, why = ctx.tcp(job.server, job.port, { timeout = job.timeout })
  if not connection then return nil, why end
  local ok, length, text
  ok, why = connection:send(u16(#job.query) .. job.query)
  if not ok then return nil, why end
  length, why = connection:read(2)
  if not length then return nil, why end
  text, why = connection:read(math.max(1, read16(length, 1)))
  if not text then return nil, why end
  return parse(text, job.id, job.query:sub(13))
end

local function ask(job, ctx)
  if job.tcp then return ask_tcp(job, ctx) end
  local socket, why = ctx.udp(job.server, job.port, { timeout = job.timeout })
  if not socket then return nil, why end
  for try = 1, job.tries do
    job.tried = try
    local ok, message
    ok, why = socket:send(job.query)
    if ok then message, why = receive(socket, job, ctx, ctx.mono() + job.timeout) end
    if message then
      if not message.truncated then return message end
      job.truncated = true
      return ask_tcp(job, ctx)
    end
  end
  return nil, why
end

-- Those of the type asked for; behind a CNAME they have another name.
local function answers_of(message, job)
  local found, ttl = {}, nil
  for _, record in ipairs(message.answers) do
    if record.type == job.type or job.type == TYPES.ANY then
      found[#found + 1] = record.text
      ttl = math.min(ttl or record.ttl, record.ttl)
    end
  end
  return found, ttl
end

local function judge(message, job)
  local found, ttl = answers_of(message, job)
  local code = CODES[message.rcode] or tostring(message.rcode)
  local ok, why = code == job.rcode, ("%s, not %s"):format(code, job.rcode)
  if ok then ok, why = same_answers(job, found) end
  if ok and job.rcode == "NOERROR" and not found[1] then ok, why = false, "no answer of this type" end
  return { ok = ok and 1 or 0, rcode = message.rcode, answers = #found, ttl = ttl,
    authoritative = message.authoritative and 1 or 0 }, why
end

local function run(params, ctx)
  local job, why = prepare(params, ctx)
  if not job then return nil, why end
  local began = ctx.mono()
  local message
  message, why = ask(job, ctx)
  local seconds, values = ctx.mono() - began, { ok = 0 }
  if message then values, why = judge(message, job) end
  values.answered = message and 1 or 0
  values.seconds = message and math.floor(seconds * 1e6 + 0.5) / 1e6 or nil
  values.tries = job.tried or 1
  values.truncated = job.truncated and 1 or 0
  local told = values.ok == 0 and ("%s %s at %s: %s"):format(params.name, params.type, job.server, why) or nil
  if told and ctx.state.told ~= told then ctx.log("warning", told) end
  ctx.state.told = told
  local list, tags = {}, { name = params.name, type = params.type:upper(), server = job.server }
  for name, value in pairs(values) do list[#list + 1] = { name = name, value = value, tags = tags } end
  return list
end

return {
  description = "a query of a DNS server: time, response code, expected answers",
  params = {
    name = { type = "string", required = true, description = "what is asked for" },
    type = { type = "string", default = "A",
      description = "A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, CAA, ANY, or TYPE65" },
    server = { type = "string", description = "name or address; else the first of /etc/resolv.conf" },
    port = { type = "number", default = 53, description = "of the server" },
    expect = { type = "list", description = "answers that must be there, such as 192.0.2.1 or 10 mail.example.org" },
    rcode = { type = "string", default = "NOERROR", description = "that is right, such as NXDOMAIN" },
    timeout = { type = "number", default = 2, description = "seconds of each try" },
    tries = { type = "number", default = 2, description = "by UDP, which may lose one" },
    tcp = { type = "boolean", default = false, description = "by TCP; else only after a truncated answer" },
    recursion = { type = "boolean", default = true, description = "whether the server shall ask others" },
  },
  interval = 60,
  run = run,
  parse = parse, query = query_of, encode = encode_name, normal = normal,
}
