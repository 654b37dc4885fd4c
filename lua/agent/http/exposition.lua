-- Samples as the text that Prometheus reads: its own format 0.0.4 and OpenMetrics 1.0.
--
-- Names: every character that isn't allowed becomes "_"; `…ms` becomes `…seconds`, with the value in seconds. Counters
-- end in `_total`. What looks like a counter or a histogram by its name alone (mem.total) is untyped. Tags become
-- labels; the host's own `host` tag is left out, since every scraped target has an `instance`.

local M = {}
M.__index = M

-- Of the agent's own metrics these only grow. Everything else goes up and down.
local counters = { ["agent.errors"] = true, ["agent.published.messages"] = true, ["agent.published.bytes"] = true,
  ["agent.dropped"] = true, ["agent.collect.missed"] = true, ["agent.collect.errors"] = true,
  ["agent.http.accepted"] = true, ["agent.http.requests"] = true, ["agent.http.refused"] = true,
  ["agent.http.dropped"] = true, ["agent.metrics.skipped"] = true }

local reserved = { le = "tag_le", quantile = "tag_quantile" }
local escapes = { ["\\"] = "\\\\", ["\n"] = "\\n", ['"'] = '\\"' }

--- options: open: OpenMetrics; host: the host tag that is left out.
function M.new(options)
  return setmetatable({ open = options.open, host = options.host, families = {}, order = {} }, M)
end

-- Metric name, divisor and type of a measurement.
local function shape(measurement)
  local name = measurement:gsub("[^%w_]", "_")
  if name:find("^%d") or name == "" then name = "_" .. name end
  if counters[measurement] then return name .. "_total", 1, "counter" end
  if name:find("_ms$") then return name:gsub("_ms$", "_seconds"), 1000, "gauge" end
  local ending = name:match("_(%l+)$")
  local like = ending == "total" or ending == "count" or ending == "sum" or ending == "bucket" or ending == "info"
    or ending == "created"
  return name, 1, like and "untyped" or "gauge"
end

local function label_name(tag)
  local name = tag:gsub("[^%w_]", "_")
  if name:find("^%d") or name == "" then name = "_" .. name end
  if name:find("^__") then name = "tag" .. name end -- those are Prometheus' own
  return reserved[name] or name
end

local function escaped(text)
  return (text:gsub('[\\\n"]', escapes))
end

-- Labels in order of their names; of two tags that become one label the first counts.
local function labels_of(self, tags, ns)
  local names, values = {}, {}
  for tag, value in pairs(tags or {}) do
    local name = label_name(tag)
    if not (name == "host" and value == self.host) and not values[name] then
      names[#names + 1], values[name] = name, tostring(value)
    end
  end
  if ns and not values.ns then names[#names + 1], values.ns = "ns", ns end
  if not names[1] then return "" end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ('%s="%s"'):format(name, escaped(values[name])) end
  return "{" .. table.concat(names, ",") .. "}"
end

local function number_of(value)
  if value == true then return 1 end
  if value == false then return 0 end
  return tonumber(value)
end

local function text_of(number)
  if number ~= number then return "NaN" end
  if number == math.huge then return "+Inf" end
  if number == -math.huge then return "-Inf" end
  if number % 1 == 0 and math.abs(number) <= 2 ^ 53 then return ("%d"):format(number) end
  local short = ("%.15g"):format(number)
  return tonumber(short) == number and short or ("%.17g"):format(number)
end

--- Adds a sample; strings that are no number are left out, they have no place in this format.
function M:add(measurement, value, tags, ns)
  local number = number_of(value)
  if not number then return end
  local name, divisor, kind = shape(measurement)
  local family = self.families[name]
  if not family then
    family = { name = name, kind = kind, measurement = measurement, seen = {} }
    self.families[name] = family
    self.order[#self.order + 1] = family
  end
  local line = labels_of(self, tags, ns)
  local known = family.seen[line]
  if not known then family[#family + 1] = line end
  family.seen[line] = text_of(number / divisor)
end

local function head_of(self, family)
  local name, kind = family.name, family.kind
  if self.open then
    if kind == "counter" then name = name:gsub("_total$", "") end
    if kind == "untyped" then kind = "unknown" end
  end
  return ("# HELP %s Measurement %s of the agent.\n# TYPE %s %s\n"):format(name,
    (family.measurement:gsub('[\\\n"]', self.open and escapes or { ["\\"] = "\\\\", ["\n"] = "\\n" })), name, kind)
end

--- Writes so many families, in order of their names; call it until it returns nil.
function M:write(count)
  if not self.at then
    table.sort(self.order, function(a, b) return a.name < b.name end)
    self.at = 0
  end
  if self.done then return nil end
  local out = {}
  for _ = 1, count do
    self.at = self.at + 1
    local family = self.order[self.at]
    if not family then
      self.done = true
      if self.open then out[#out + 1] = "# EOF\n" end
      break
    end
    out[#out + 1] = head_of(self, family)
    table.sort(family)
    for _, labels in ipairs(family) do
      out[#out + 1] = ("%s%s %s\n"):format(family.name, labels, family.seen[labels])
    end
  end
  return table.concat(out)
end

return M
