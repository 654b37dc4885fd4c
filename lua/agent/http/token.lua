-- The tokens of http.tokenfile, and how long a client that guesses has to wait. Nothing is held for it
-- meanwhile: it is told to come later.

local host_http = require("host.http")
local uv = require("luv")

local M = {}
M.__index = M

local MAX_BYTES, SHORTEST = 4096, 16
local NONBLOCK = 2048 -- O_NONBLOCK: a fifo must not hold us up
local MAX_CLIENTS = 1024
local FIRST_WAIT, LONGEST_WAIT, FORGET = 1, 60, 600 -- seconds

--- options: now () → monotonic seconds.
function M.new(options)
  return setmetatable({ now = options.now, tokens = {}, clients = {}, count = 0 }, M)
end

-- A token a line; empty lines and those that begin with # are passed over.
local function parse(text)
  local tokens = {}
  for line in text:gmatch("[^\r\n]+") do
    local token = line:match("^%s*(.-)%s*$")
    if token ~= "" and token:sub(1, 1) ~= "#" then
      if #token < SHORTEST then return nil, ("a token is shorter than %d characters"):format(SHORTEST) end
      tokens[#tokens + 1] = token
    end
  end
  if #tokens == 0 then return nil, "there is no token in it" end
  return tokens
end

local function why_not(stat)
  if stat.type ~= "file" then return "not a file" end
  if stat.size > MAX_BYTES then return ("larger than %d bytes"):format(MAX_BYTES) end
  if stat.mode % 64 ~= 0 then return "others than its owner may read or write it; chmod 600" end
  if stat.uid ~= 0 and stat.uid ~= uv.getuid() then return "it belongs neither to root nor to the agent's user" end
end

local function read(path, done)
  uv.fs_open(path, NONBLOCK, 0, function(err, fd)
    if err then return done(err) end
    local function close(why, text)
      uv.fs_close(fd, function() done(why, text) end)
    end
    uv.fs_fstat(fd, function(bad, stat)
      local why = bad or why_not(stat)
      if why then return close(why) end
      uv.fs_read(fd, MAX_BYTES, 0, close)
    end)
  end)
end

--- Reads the file anew, off the loop; on an error the tokens in force stay. callback(err): a sentence without
--- any of the file's text, or nil. An empty path means no tokens.
function M:load(path, callback)
  if not path or path == "" then
    self.tokens = {}
    return callback()
  end
  read(path, function(why, text)
    local tokens
    if not why then tokens, why = parse(text or "") end
    if not tokens then return callback(("http.tokenfile: %s: %s"):format(path, why)) end
    self.tokens = tokens
    return callback()
  end)
end

-- What lies long enough behind is forgiven; when that isn't enough, who has waited most.
local function make_room(self)
  local now, soonest = self.now(), nil
  for address, client in pairs(self.clients) do
    if client.till + FORGET < now then
      self.clients[address] = nil
      self.count = self.count - 1
    elseif not soonest or client.till < self.clients[soonest].till then
      soonest = address
    end
  end
  if self.count >= MAX_CLIENTS then
    self.clients[soonest] = nil
    self.count = self.count - 1
  end
end

local function punish(self, key)
  local client = self.clients[key]
  if not client then
    if self.count >= MAX_CLIENTS then make_room(self) end
    client = { failures = 0 }
    self.clients[key] = client
    self.count = self.count + 1
  end
  client.failures = client.failures + 1
  client.till = self.now() + math.min(LONGEST_WAIT, FIRST_WAIT * 2 ^ (client.failures - 1))
end

-- Whoever has an IPv6 address has 2^64 of them.
local function key_of(address)
  if not address:find(":", 1, true) then return address end
  local parts = {}
  for part in (address:gsub("::.*$", "") .. ":"):gmatch("([^:]*):") do parts[#parts + 1] = part end
  return table.concat(parts, ":", 1, math.min(4, #parts))
end

local function matches(self, given)
  local found = false
  for _, token in ipairs(self.tokens) do -- all of them: how long it takes must not say which
    found = host_http.same(given, token) or found
  end
  return found
end

--- Judges the Authorization header of a client: "right", "none" (there is none), "wrong", or "wait", seconds:
--- it was wrong lately, and isn't looked at.
---@return "right"|"none"|"wrong"|"wait", number?
function M:judge(header, address)
  local given = header and header:match("^[Bb]earer +(%S+)$")
  if not header then return "none" end
  local key = key_of(address)
  local client = self.clients[key]
  local wait = client and client.till - self.now() or 0
  if wait > 0 then return "wait", wait end
  if given and matches(self, given) then
    if client then
      self.clients[key] = nil
      self.count = self.count - 1
    end
    return "right"
  end
  punish(self, key)
  return "wrong"
end

return M
