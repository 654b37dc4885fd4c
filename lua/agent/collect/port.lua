-- PORT items: does anybody listen? One metric for each, named as the item: 1 or 0.

local M = { name = "PORT", interval = 60, rates = false }

-- Each port once, with the longest of the timeouts that its items have: { { port, seconds }, … } and the place
-- of each port in it.
local function distinct(items)
  local list, place = {}, {}
  for _, item in ipairs(items) do
    local i = place[item.port]
    if not i then
      i = #list + 1
      place[item.port], list[i] = i, { item.port, item.timeout }
    end
    list[i][2] = math.max(list[i][2], item.timeout)
  end
  return list, place
end

local function results_of(items, answers, list, place)
  local results, by_ns, failed = {}, {}, nil
  for _, item in ipairs(items) do
    local i = place[item.port]
    local answer = answers[i]
    if not by_ns[item.ns] then
      by_ns[item.ns] = {}
      results[#results + 1] = { ns = item.ns, metrics = by_ns[item.ns] }
    end
    if type(answer) == "string" then
      failed = { code = answer, message = ("port %d could not be asked: %s"):format(item.port, answer) }
    else
      local open = answer and (answer <= item.timeout or item.timeout == list[i][2])
      table.insert(by_ns[item.ns], { name = item.name, value = open and 1 or 0 })
    end
  end
  return results, failed
end

--- For specs env.ports stands in for host.ports. Returns a collector of
--- run(items, done): asks all items at once; done(results, err) once, results = { { ns =, metrics = {…} }, … }. An
---   item that we had no means to ask gives no metric but err. Each run stands alone: items may change between, and
---   runs of several intervals may overlap.
--- close(): gives up the runs under way; their done() is not called any more.
function M.new(env)
  local ports, running = env.ports or require("host.ports"), {}
  local function run(items, done)
    local list, place = distinct(items)
    local check, why, code
    check, why, code = ports.check(list, function(answers)
      running[check] = nil
      done(results_of(items, answers, list, place))
    end)
    if not check then return done({}, { code = code, message = "ports: " .. why }) end
    running[check] = true
  end
  local function close()
    for check in pairs(running) do check:close() end
    running = {}
  end
  return { run = run, close = close }
end

return M
