-- Which handler a request goes to: by its exact path, then by its method; and whether it may.

local answer = require("agent.http.answer")
local json = require("agent.json")

local M = {}
M.__index = M

-- Whoever asks the same again within this time gets the same answer, if nothing has been published or changed since.
local KEEP_MS = 20

--- options: access, with :check(request, reply, right) → refusal = { status, text, headers } or nil, who; and
--- audit, with :note(who, request, status, result). Without them everybody may everything, unrecorded. changing() is
--- called before and after every call that may change something.
function M.new(options)
  options = options or {}
  return setmetatable({ routes = {}, access = options.access, audit = options.audit,
    changing = options.changing or function() end }, M)
end

--- `methods`: names with spaces between; HEAD goes wherever GET goes. handler(request, reply) answers at once
--- or later. Returns the router.
---@param methods string
---@param path string
---@param handler fun(request: host.http.request, reply: host.http.reply)
---@param right? "read"|"post"|"change" what the caller must be allowed to; default "change"
---@param keep? boolean a "read" that is asked for often: its answer may be given again for 20 ms
function M:route(methods, path, handler, right, keep)
  local route = self.routes[path]
  if not route or route.load then route = { methods = {}, allow = {} } end
  for method in (methods:find("GET") and methods .. " HEAD" or methods):gmatch("%S+") do
    local known = route.methods[method]
    assert(not known or method == "HEAD", "two handlers for one method and path")
    if not known then
      route.methods[method] = { call = handler, right = right or "change", keep = keep }
      table.insert(route.allow, method)
    end
  end
  table.sort(route.allow)
  self.routes[path] = route
  return self
end

--- A path whose handlers are there once load() has registered them, when it is asked for first.
function M:lazy(path, load)
  self.routes[path] = { load = load }
end

local function find(self, path)
  local route = self.routes[path]
  if not route or not route.load then return route end
  route.load()
  return self.routes[path]
end

-- The paths that a wrong one may have meant: misspelt, or below the same first part.
local function near(self, path)
  local known, found, seen = {}, {}, {}
  for route in pairs(self.routes) do known[#known + 1] = route end
  table.sort(known)
  local function add(one)
    if one and not seen[one] and #found < 8 then
      seen[one] = true
      found[#found + 1] = one
    end
  end
  if #path <= 64 then
    add(self.routes[path:gsub("/+$", "")] and path:gsub("/+$", ""))
    add(require("agent.config.nearest")(path, known))
    local first = path:match("^(/[%w]+)/?")
    for _, route in ipairs(known) do
      if first and route:find(first .. "/", 1, true) == 1 then add(route) end
    end
  end
  return found
end

local function not_found(self, request, reply)
  local paths = near(self, request.path)
  local text = "404 page not found\n"
  if paths[1] then text = text .. "near: " .. table.concat(paths, " ") .. "\n" end
  if not answer.wants_json(request) then return answer.text(request, reply, 404, text) end
  return answer.json(reply, 404, json.encode({ msg = "404 page not found", near = json.list(paths) }))
end

local function wrong_method(route, request, reply)
  local allow = table.concat(route.allow, ", ")
  return answer.text(request, reply, 405, "method not allowed; use " .. allow .. "\n", { Allow = allow })
end

-- A reply whose answer is recorded with who asked for it.
local recorded = {}
recorded.__index = recorded

function recorded:send(status, headers, body)
  self.router.changing()
  self.router.audit:note(self.who, self.request, status, body)
  return self.reply:send(status, headers, body)
end

function recorded:stream(status, headers, on_gone)
  self.router.audit:note(self.who, self.request, status)
  return self.reply:stream(status, headers, on_gone)
end

function recorded:write(bytes) return self.reply:write(bytes) end
function recorded:finish() return self.reply:finish() end
function recorded:gone() return self.reply:gone() end
function recorded:peer() return self.reply:peer() end

--- Gives the request to its handler, or answers 401, 403, 404, 405 or 429.
function M:handle(request, reply)
  local route = find(self, request.path)
  local handler = route and route.methods[request.method]
  local right = handler and handler.right or "read"
  if self.access then
    local refusal, who = self.access:check(request, reply, right)
    if right ~= "read" and self.audit and who then
      reply = setmetatable({ router = self, request = request, reply = reply, who = who }, recorded)
    end
    if right ~= "read" then self.changing() end
    if refusal then return answer.text(request, reply, refusal.status, refusal.text, refusal.headers) end
  end
  if handler and handler.keep then reply:keep(KEEP_MS) end
  if handler then return handler.call(request, reply) end
  if route then return wrong_method(route, request, reply) end
  return not_found(self, request, reply)
end

return M
