-- Who may. Reading is open to everybody who gets here; changing depends on where the caller comes from:
--   unix socket   root, the agent's user, members of http.group; POST /post everybody (http.post)
--   loopback TCP  as http.loopback says
--   other TCP     with a token of http.tokenfile

local file = require("agent.file")
local uv = require("luv")

local M = {}
M.__index = M

local GROUP_FILE, GROUP_FILE_MAX = "/etc/group", 2 ^ 20

--- conf: conf.http; it is looked at anew each time. options: now () → monotonic seconds, and, for specs, uid of
--- the agent and group_file.
function M.new(conf, options)
  return setmetatable({ conf = conf, uid = options.uid or uv.getuid(), group_file = options.group_file or GROUP_FILE,
    now = options.now }, M)
end

--- The tokens, which nobody needs where none are configured.
function M:tokens()
  self.token = self.token or require("agent.http.token").new({ now = self.now })
  return self.token
end

-- callback(err, gid). Names are looked up in the file, not through NSS, which may ask the network.
local function find_group(self, name, callback)
  if name == "" then return callback() end
  if name:find("^%d+$") then return callback(nil, tonumber(name)) end
  file.read(self.group_file, GROUP_FILE_MAX, function(err, text)
    if err then return callback("http.group: " .. err.message) end
    for line in text:gmatch("[^\n]+") do
      local group, gid = line:match("^([^:]*):[^:]*:(%d+):")
      if group == name then return callback(nil, tonumber(gid)) end
    end
    callback(("http.group: there is no group %s in %s; give its number if it comes from elsewhere")
      :format(name, self.group_file))
  end)
end

--- Reads what the configuration names: the token file and the group. Never blocks. callback(err): the first
--- problem as a sentence; what was in force stays then.
function M:load(callback)
  self.host = nil
  local function load_group(bad_token)
    find_group(self, self.conf.group or "", function(bad_group, gid)
      if not bad_group then self.gid = gid end
      callback(bad_token or bad_group)
    end)
  end
  if (self.conf.tokenfile or "") == "" and not self.token then return load_group() end
  self:tokens():load(self.conf.tokenfile, load_group)
end

local function refuse(status, text, headers)
  return { status = status, text = text .. "\n", headers = headers }
end

local function check_local(self, reply, peer, right)
  if peer.uid == 0 or peer.uid == self.uid then return nil end
  if right == "post" and self.conf.post ~= "group" then return nil end
  if self.gid and reply:in_group(self.gid) then return nil end
  return refuse(403, "only root, the agent's user and members of http.group may do that")
end

local function check_token(self, request, peer)
  local verdict, wait = self:tokens():judge(request.headers.authorization, peer.address)
  if verdict == "right" then return nil end
  if verdict == "wait" then
    return refuse(429, "the token was wrong; wait", { ["Retry-After"] = ("%d"):format(math.ceil(wait)) })
  end
  local why = verdict == "none" and "a token is needed: Authorization: Bearer TOKEN" or "the token is wrong"
  return refuse(401, why, { ["WWW-Authenticate"] = 'Bearer realm="agent"' })
end

local function check_remote(self, request, peer)
  local loopback = self.conf.loopback or "all"
  if not peer.loopback or loopback == "token" then return check_token(self, request, peer) end
  if loopback == "all" then return nil end
  return refuse(403, "http.loopback allows only reading here; use the unix socket")
end

-- Whether the same was found innocent last time: programs ask under one name all the time, and none of them is a page.
local function plainly_known(self, headers)
  if headers.origin or headers["sec-fetch-site"] then return false end
  local known = self.host and headers.host == self.host
  if not known and not require("agent.http.browser").refusal(headers, self.conf.hosts) then self.host = headers.host end
  return known
end

local function name_of(peer)
  return peer.address or ("uid %d pid %d"):format(peer.uid, peer.pid)
end

--- Returns what to answer instead, { status =, text =, headers = }, or nil; and for everything but reading who
--- it is.
---@param request host.http.request
---@param reply host.http.reply
---@param right "read"|"post"|"change"
function M:check(request, reply, right)
  local tcp = request.peer == "tcp"
  local foreign = tcp and not plainly_known(self, request.headers)
    and require("agent.http.browser").refusal(request.headers, self.conf.hosts)
  if foreign then return refuse(403, foreign), right ~= "read" and name_of(reply:peer() or { address = "?" }) end
  if right == "read" then return nil end
  local peer = reply:peer()
  if not peer then return refuse(403, "it can't be told who that is"), "?" end
  local refusal
  if tcp then refusal = check_remote(self, request, peer) else refusal = check_local(self, reply, peer, right) end
  return refusal, name_of(peer)
end

return M
