-- For wrk: posts METRICS metrics in each request.
-- luacheck: globals wrk done
local list = {}
for i = 1, tonumber(os.getenv("METRICS")) do
  list[i] = ('{"name":"orders.paid","timestamp":%d,"tags":{"shop":"web%d","status":"ok"},"value":%d}')
    :format(os.time(), i, i)
end
wrk.method, wrk.body = "POST", "[" .. table.concat(list, ",") .. "]"
wrk.headers["Content-Type"] = "application/json"

function done(summary, latency)
  local errors = summary.errors
  io.write(("RESULT %d %d %d %d %d\n"):format(summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
