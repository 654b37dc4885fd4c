-- Where a plugin comes from: the item's git value and agent.git → a project and a clone URL. Everything here comes
-- from outside and becomes paths and URLs, so what isn't plainly good is refused.

local namespace = require("agent.namespace")

local M = {}

local LONGEST_NAME, LONGEST_URL, LONGEST_REF = 100, 1000, 200

-- One component of a path: no dot or dash leads it.
local function good_name(name)
  return #name <= LONGEST_NAME and name:find("^[%w_][%w._-]*$") ~= nil
end

--- Why a namespace can't be a directory of PluginsDir, or nil.
function M.refuse_ns(ns)
  if not namespace.valid(ns) or not good_name(ns) then return "no name of a directory" end
  if ns == "plugin.disabled" then return "the name of the markers' directory" end
end

-- "group/project": every component good. Returns its last one, or nil.
local function last_component(path)
  if path:find("^/") or path:find("/$") or path:find("//", 1, true) then return nil end
  local last
  for name in path:gmatch("[^/]+") do
    if not good_name(name) then return nil end
    last = name
  end
  return last
end

-- { scheme, userinfo | nil, host | nil, path } of a URL or of user@host:path, which means ssh; nil for neither.
local function parse(url)
  if #url > LONGEST_URL or url:find("[^%w._~/+@:=%[%]%%-]") then return nil end
  local scheme, rest = url:match("^(%l+)://(.*)$")
  if not scheme then
    local user, host, path = url:match("^([%w_][%w._-]*)@([%w][%w.-]*):([^:@]+)$")
    return user and { scheme = "ssh", userinfo = user, host = host, path = path, short = true }
  end
  local authority, path = rest:match("^([^/]*)/(.+)$")
  if not authority then return nil end
  local userinfo, place = authority:match("^(.*)@([^@]*)$")
  return { scheme = scheme, userinfo = userinfo, host = place or authority, path = path }
end

local function good_host(host)
  return host:find("^%w[%w.-]*$") or host:find("^%w[%w.-]*:%d+$") or host:find("^%[[%x:.]+%]$")
    or host:find("^%[[%x:.]+%]:%d+$")
end

local function good_path(path)
  if path:find("[%%@:]") or path:find("//", 1, true) then return false end
  for name in path:gmatch("[^/]+") do
    if name:find("^[.-]") then return false end
  end
  return true
end

--- Why this URL is not cloned from, or nil. schemes: a list of those allowed.
function M.refuse_url(url, schemes)
  local parts = parse(url)
  if not parts then return "neither a URL nor user@host:path" end
  local allowed = false
  for _, scheme in ipairs(schemes) do allowed = allowed or scheme == parts.scheme end
  if not allowed then return ("scheme %s is not among agent.gitschemes"):format(parts.scheme) end
  if parts.scheme == "file" then
    if parts.host ~= "" or parts.userinfo then return "file:///PATH expected" end
  elseif not good_host(parts.host) then
    return "no good host name"
  end
  if parts.userinfo and not parts.userinfo:find("^[^/@]+$") then return "no good user" end
  if not good_path(parts.path) then return "no good path" end
end

--- Reads the item's git value: "user@host:group/project.git", a URL, or "group/project". Returns "group/project" and
--- "project", or nil and why it is refused.
function M.project(git)
  local path = git
  if git:find(":", 1, true) then
    local parts = parse(git)
    if not parts then return nil, "git: neither user@host:group/project.git nor a URL" end
    path = parts.path
    if path:sub(-4) ~= ".git" then return nil, "git: does not end in .git" end
  end
  path = path:gsub("%.git$", "")
  local dir = last_component(path)
  if not dir then return nil, "git: no good project name" end
  if not path:find("/", 1, true) then return nil, "git: group/project expected" end
  return path, dir
end

--- The clone URL of an item's git value; format is agent.git. Or nil and why not.
function M.url(git, format, schemes)
  if format == "" then return nil, "agent.git is not configured" end
  local project, why = M.project(git)
  if not project then return nil, why end
  local url = format == "%s" and git or format:gsub("%%s", function() return project end)
  if format == "%s" and not git:find(":", 1, true) then return nil, 'agent.git is "%s" and git is no URL' end
  why = M.refuse_url(url, schemes)
  if why then return nil, M.shown(url) .. ": " .. why end
  return url
end

--- Why `ref` can't be a branch, a tag or a commit, or nil.
function M.refuse_ref(ref)
  if #ref > LONGEST_REF or not ref:find("^[%w_][%w._/+-]*$") or ref:find("..", 1, true) or ref:find("//", 1, true)
    or ref:find("[/.]$") or ref:find("/.", 1, true) or ref:find("%.lock$") or ref:find("%.lock/") then
    return "no name of a branch, tag or commit"
  end
end

--- A URL as it may be told to anybody: without password, and for other schemes than ssh, where a token may stand for
--- the user, without user.
function M.shown(url)
  local scheme, rest = url:match("^(%a+)://(.*)$")
  if not scheme then return url end
  local authority, path = rest:match("^([^/]*)(.*)$")
  local userinfo, place = authority:match("^(.*)@([^@]*)$")
  if not userinfo then return url end
  local user = scheme == "ssh" and userinfo:match("^[^:]*") .. "@" or ""
  return scheme .. "://" .. user .. place .. path
end

--- Takes a URL apart for who connects: the URL without user and password for http, https and git (libgit2 never
--- sees them in it), and both, or nil.
function M.connection(url)
  local parts = parse(url)
  if parts.scheme == "ssh" or parts.scheme == "file" or not parts.userinfo then return url end
  local user, password = parts.userinfo:match("^([^:]*):?(.*)$")
  local bare = ("%s://%s/%s"):format(parts.scheme, parts.host, parts.path)
  if parts.scheme == "git" then return bare end
  return bare, user ~= "" and user or nil, password ~= "" and password or nil
end

--- Scheme and place (host with port) of a URL; nil for what is none.
function M.origin(url)
  local parts = parse(url)
  if parts then return parts.scheme, parts.host end
end

return M
