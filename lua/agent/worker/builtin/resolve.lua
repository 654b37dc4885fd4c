-- Names to addresses, in libuv's threads. Those are few, and a resolver that hangs keeps one: at most so many
-- questions are under way, equal ones share theirs, the others wait for their turn until their deadline.

local run = require("agent.worker.builtin.run")
local uv = require("luv")

local M = {}

local AT_ONCE = 4

local asked, queue, under_way = {}, {}, 0

local function addresses(found)
  local list, seen = {}, {}
  for _, entry in ipairs(found) do
    if not seen[entry.addr] then
      seen[entry.addr] = true
      list[#list + 1] = entry.addr
    end
  end
  return list
end

local ask_next

local function ask(question)
  under_way = under_way + 1
  uv.getaddrinfo(question.name, nil, { socktype = "stream" }, function(err, found)
    under_way = under_way - 1
    asked[question.name] = nil
    local list = not err and addresses(found)
    for answer in pairs(question.answers) do
      if list then answer(list) else answer(nil, ("%s: %s"):format(question.name, err), "resolve") end
    end
    ask_next()
  end)
end

-- Whom nobody waits for any more is not asked.
function ask_next()
  while under_way < AT_ONCE and queue[1] do
    local question = table.remove(queue, 1)
    if next(question.answers) then ask(question) else asked[question.name] = nil end
  end
end

function M.is_address(name)
  return name:find("^%d+%.%d+%.%d+%.%d+$") ~= nil or name:find(":", 1, true) ~= nil
end

--- In a run: the addresses of a name, in the resolver's order; nil, message, code.
function M.addresses(name, seconds)
  if M.is_address(name) then return { name } end
  if name == "" or #name > 253 or name:find("[^%w._-]") then return nil, "no name of a host", "resolve" end
  return run.await("the address of " .. name, seconds, function(answer)
    local question = asked[name]
    if not question then
      question = { name = name, answers = {} }
      asked[name] = question
      queue[#queue + 1] = question
    end
    question.answers[answer] = true
    ask_next()
    return function() question.answers[answer] = nil end
  end)
end

return M
