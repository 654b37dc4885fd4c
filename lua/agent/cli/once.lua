-- `agent once`: one round of collection, shown instead of published.

local M = {
  summary = "collect once and print what would be published",
  usage = "agent once [-f CONF] [--json] [GROUP…]",
}

local BETWEEN_SAMPLES = 1 -- seconds: what a rate is measured over

-- Runs the collectors side by side; done(list of metrics by collector, list of errors) when all answered.
local function round(chosen, done)
  local left, results, errors = #chosen, {}, {}
  if left == 0 then return done(results, errors) end
  for i, one in ipairs(chosen) do
    one.collector.run(function(metrics, err)
      results[i] = metrics or {}
      if err then errors[#errors + 1] = one.group.name .. ": " .. err.message end
      left = left - 1
      if left == 0 then done(results, errors) end
    end)
  end
end

-- A first round, and a second one for the groups that know rates.
local function collect(chosen, after, done)
  round(chosen, function(results, errors)
    local again, place = {}, {}
    for i, one in ipairs(chosen) do
      if one.group.rates then
        again[#again + 1] = one
        place[#again] = i
      end
    end
    if #again == 0 then return done(results, errors) end
    after(BETWEEN_SAMPLES, function()
      round(again, function(second, more)
        for k, i in ipairs(place) do results[i] = second[k] end
        for _, err in ipairs(more) do errors[#errors + 1] = err end
        done(results, errors)
      end)
    end)
  end)
end

local function tags_text(tags)
  local pairs_of = {}
  for key, value in pairs(tags or {}) do pairs_of[#pairs_of + 1] = key .. "=" .. value end
  table.sort(pairs_of)
  return table.concat(pairs_of, " ")
end

--- The rows as an aligned text: name, value flush right, tags.
function M.table_text(metrics)
  local json_number = require("agent.publish.points").json_number
  local rows, name_width, value_width = {}, 0, 0
  for i, metric in ipairs(metrics) do
    local value = metric.value
    value = type(value) == "number" and json_number(value) or tostring(value)
    rows[i] = { metric.name, value, tags_text(metric.tags) }
    name_width = math.max(name_width, #metric.name)
    value_width = math.max(value_width, #value)
  end
  local line = ("%%-%ds  %%%ds  %%s"):format(name_width, value_width)
  for i, row in ipairs(rows) do rows[i] = line:format(row[1], row[2], row[3]):gsub("%s+$", "") end
  rows[#rows + 1] = ""
  return table.concat(rows, "\n")
end

local function print_messages(results, namespaces)
  local points = require("agent.publish.points")
  local hostname, now = require("luv").os_gethostname(), require("host.clock").wall()
  for _, metrics in ipairs(results) do
    for _, body in ipairs((points.encode(metrics, hostname, now))) do
      for _, ns in ipairs(namespaces) do io.stdout:write(points.head(ns), body, "\n") end
    end
  end
end

local function print_table(results)
  local all = {}
  for _, metrics in ipairs(results) do
    for _, metric in ipairs(metrics) do all[#all + 1] = metric end
  end
  io.stdout:write(M.table_text(all))
end

-- The groups asked for, or all; nil and the unknown name.
local function choose(collectors, names)
  if #names == 0 then return collectors end
  local chosen = {}
  for _, name in ipairs(names) do
    local found
    for _, one in ipairs(collectors) do
      if one.group.name == name:upper() then found = one end
    end
    if not found then return nil, name end
    chosen[#chosen + 1] = found
  end
  return chosen
end

local function group_names(collectors)
  local names = {}
  for i, one in ipairs(collectors) do names[i] = one.group.name end
  return table.concat(names, " ")
end

-- The group AGENT tells of a life that isn't there.
local function others_than_own(groups)
  local chosen = {}
  for _, one in ipairs(groups) do
    if one.group.name ~= "AGENT" then chosen[#chosen + 1] = one end
  end
  return chosen
end

local function run_with(conf, options)
  local host, timer = require("host"), require("agent.timer")
  local agent = require("agent.cli.assemble").new(conf)
  agent.registry.apply = function() end -- this round is the only one
  local collectors = others_than_own(agent.collection.groups)
  local chosen, unknown = choose(collectors, options.groups)
  if not chosen then
    io.stderr:write(("agent once: no group %s; there are %s\n"):format(unknown, group_names(collectors)))
    return host.exit(64)
  end
  agent.registry:update(function()
    local namespaces = agent.registry:namespaces()
    if #namespaces == 0 then namespaces = { "local" } end
    collect(chosen, timer.after, function(results, errors)
      if options.json then print_messages(results, namespaces) else print_table(results) end
      for _, err in ipairs(errors) do io.stderr:write("agent once: ", err, "\n") end
      host.exit(#errors > 0 and 1 or 0)
    end)
  end)
end

function M.run(args)
  local options, code = require("agent.cli.options").parse(M, args)
  if not options then return code end
  require("agent.config").load(options.f, function(err, conf)
    if not err then return run_with(conf, options) end
    require("agent.config").show(io.stderr, options.f, err)
    require("host").exit(1)
  end)
end

return M
