-- nginx: what its stub_status says. docs/builtins-shipped.md describes each metric.

local params = {
  url = { type = "string", default = "http://127.0.0.1/stub_status", description = "where stub_status is" },
  unix = { type = "string", default = "", description = "path of a unix socket to connect to instead" },
  user = { type = "string", default = "", description = "name:password, where it is asked for" },
  verify = { type = "boolean", default = true, description = "with https: false takes any certificate" },
  ca_file = { type = "string", default = "", description = "with https: PEM of the authorities that are trusted" },
  timeout = { type = "number", default = 5, description = "seconds for all of it" },
}

-- Text of the server, fit for a message.
local function shown(text)
  text = text:sub(1, 120):gsub("[^\32-\126]", "?")
  return text
end

--- The numbers of the page, in its order: active, accepts, handled, requests, reading, writing, waiting; nil and why.
local function parse(text)
  local status = {}
  status.active, status.accepts, status.handled, status.requests, status.reading, status.writing, status.waiting =
    text:match("^Active connections: (%d+) *\r?\nserver accepts handled requests[^\n]*\n *(%d+) (%d+) (%d+)[^\n]*\n" ..
      "Reading: (%d+) Writing: (%d+) Waiting: (%d+)")
  if not status.waiting then return nil, ("no page of stub_status: %q"):format(shown(text)) end
  for name, value in pairs(status) do
    if #value > 20 then return nil, ("%s is %s"):format(name, shown(value)) end
    status[name] = tonumber(value)
  end
  return status
end

local function measure(status, rate)
  return {
    ["connections.active"] = status.active, ["connections.reading"] = status.reading,
    ["connections.writing"] = status.writing, ["connections.waiting"] = status.waiting,
    ["connections.accepted"] = rate("accepts", status.accepts),
    ["connections.dropped"] = rate("dropped", status.accepts - status.handled),
    requests = rate("requests", status.requests),
  }
end

local function run(given, ctx)
  local function text(name) return given[name] ~= "" and given[name] or nil end
  local answer, why = ctx.http({ url = given.url, unix = text("unix"), user = text("user"), verify = given.verify,
    ca_file = text("ca_file"), timeout = given.timeout, max_body = 65536 })
  if not answer then return nil, why end
  if answer.status ~= 200 then return nil, ("the server answers with status %d"):format(answer.status) end
  local status
  status, why = parse(answer.body)
  if not status then return nil, why end
  return measure(status, ctx.rate)
end

return {
  description = "nginx: connections and requests, from stub_status",
  params = params, interval = 30, run = run,
  parse = parse, measure = measure, -- for its spec
}
