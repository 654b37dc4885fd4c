-- Names of namespaces, such as `web.shop.loda`, and of the NSQ topics they are published under.

local M = {}

--- The topic of a namespace, which is also the name of its database (contracts.md §2.1).
function M.topic(ns)
  return "collect." .. ns
end

--- nsqd takes topics of 1 to 64 bytes of these characters (contracts.md §6.1).
function M.valid(ns)
  return type(ns) == "string" and #ns >= 1 and #M.topic(ns) <= 64 and not ns:find("[^%.%w_-]")
end

return M
