-- Git repositories made with the git command, real servers for them on loopback, and a checkout to fetch from them.

local loop = require("loop")
local program = require("program")
local uv = require("luv")
local wait = require("wait")

local M = {}

local ENV = "env -i PATH=/usr/bin:/bin HOME=/nonexistent GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1"
  .. " GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.org "

--- Runs a shell command below `folder`; its output, without the end of the last line.
function M.sh(folder, command)
  local pipe = assert(io.popen(("cd %s && %s sh -c '%s' 2>&1; echo \"=$?\""):format(folder, ENV, command)))
  local output, status = pipe:read("*a"):match("^(.*)=(%d+)\n$")
  pipe:close()
  assert(status == "0", command .. "\n" .. output)
  return (output:gsub("\n$", ""))
end

local repository = {}
repository.__index = repository

--- A bare repository FOLDER/GROUP/NAME.git with a working copy beside it, on branch `release` or the one given.
function M.repository(folder, name, branch)
  local self = setmetatable({ bare = ("%s/%s.git"):format(folder, name), work = ("%s/%s.work"):format(folder, name) },
    repository)
  M.sh(folder, ("git init -q --bare -b %s %s && git init -q -b %s %s"):format(branch or "release", self.bare,
    branch or "release", self.work))
  return self
end

--- Runs a command in the working copy.
function repository:sh(command) return M.sh(self.work, command) end

--- Writes files (path → text; executable when the text begins with #!), commits, pushes everything. The commit.
function repository:commit(files, more)
  for path, text in pairs(files) do
    if path:find("/") then self:sh("mkdir -p " .. path:match("^(.*)/")) end
    program.write(self.work .. "/" .. path, text)
    if text:find("^#!") then self:sh("chmod +x " .. path) end
  end
  self:sh(("%s git add -A && git commit -q --allow-empty -m x"):format(more and more .. " &&" or ""))
  return self:push()
end

function repository:push()
  self:sh(("git push -q --force --all %s && git push -q --force --tags %s"):format(self.bare, self.bare))
  return self:sh("git rev-parse HEAD")
end

function M.answers(port)
  local tcp, answer = uv.new_tcp(), nil
  tcp:connect("127.0.0.1", port, function(err) answer = err or "yes" end)
  loop.wait(function() return answer end, "connect", 15000)
  tcp:close()
  return answer == "yes"
end

function M.wait_for(port, child)
  program.wait("a server on port " .. port, 20, function()
    assert(not child.code, child.output)
    return M.answers(port)
  end)
end

--- git daemon for everything below `folder`. { port, stop() }
function M.daemon(folder)
  local port = loop.free_port()
  local child = program.spawn("/usr/lib/git-core/git-daemon", { "--listen=127.0.0.1", "--port=" .. port,
    "--base-path=" .. folder, "--export-all", "--reuseaddr", "--log-destination=stderr" })
  M.wait_for(port, child)
  return { port = port, child = child, stop = function()
    child.kill("sigterm")
    child.wait(20)
  end }
end

local function conf_of(folder, conf)
  local all = { pluginsdir = folder .. "/plugins", git = "file://" .. folder .. "/%s.git", gitkey = "",
    gitschemes = { "https", "ssh", "git", "file" }, gitknownhosts = "", gitca = "", gittoken = "", gitdeadline = 30,
    gitmaxsize = 2 ^ 20, gitmaxfiles = 100 }
  for key, value in pairs(conf or {}) do all[key] = value end
  return all
end

local client = {}
client.__index = client

--- An agent.plugin.checkout of folder/plugins with what it says waited for: ensure(record) → tree | nil, err and
--- update(record) → tree | nil, err, changed. Everything logged is in .logged.
function M.checkout(folder, conf, owner)
  local self = setmetatable({ logged = {} }, client)
  local function log(_, message) self.logged[#self.logged + 1] = message end
  self.checkout = require("agent.plugin.checkout").new({ conf = conf_of(folder, conf),
    run = require("agent.worker.client").run, log = { warning = log, info = log, debug = log, error = log },
    owner = owner and function() return owner end })
  return self
end

function client:idle()
  wait.until_true(function()
    local status = self.checkout:status()
    return status.workers == 0 and status.waiting == 0
  end, 60000)
end

function client:call(name, record)
  local over, err, tree, changed
  self.checkout[name](self.checkout, record, function(...)
    over = true
    err, tree, changed = ...
  end)
  wait.until_true(function() return over end, 60000)
  return tree, err, changed
end

function client:ensure(record) return self:call("ensure", record) end
function client:update(record) return self:call("update", record) end

--- A typed record of a plugin of group "ops".
function M.record(ns, name, more)
  local record = { type = "PLUGIN", ns = ns, name = "PLUGIN." .. name, interval = 10, args = {},
    git = ("git@git.example.org:ops/%s.git"):format(name), project = "ops/" .. name, dir = name }
  for key, value in pairs(more or {}) do record[key] = value end
  return record
end

--- Names in a directory, sorted, as one string.
function M.list(path)
  local names, request = {}, uv.fs_scandir(path)
  while request do
    local name = uv.fs_scandir_next(request)
    if not name then break end
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, " ")
end

return M
