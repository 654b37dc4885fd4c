-- One plugin from its git server: fetched and checked in a directory of its own, then put in force by one rename.
-- Blocks: for the git worker, which has a deadline and limits.

local credentials = require("agent.plugin.credentials")
local files = require("agent.plugin.files")
local git = require("git")
local known_hosts = require("agent.plugin.known_hosts")
local look = require("agent.plugin.look")
local places = require("agent.plugin.places")
local refs = require("agent.plugin.refs")
local source = require("agent.plugin.source")
local tree_rules = require("agent.plugin.tree")
local uv = require("luv")

local M = {}

local MAX_DEPTH = 64
local MAX_FILE = 2 ^ 20 -- of what the configuration names
local CA_FILE = "/etc/ssl/certs/ca-certificates.crt"

-- libgit2 answers nil, message, CODE.
local function need(value, why, code)
  if not value then error({ code = code or "failed", message = why }, 0) end
  return value
end

local function read_file(path)
  local file, why = io.open(path, "rb")
  need(file, why, "auth")
  local text = file:read(MAX_FILE) or ""
  file:close()
  return text
end

local function write(path, text)
  local file = need(io.open(path, "wb"))
  need(file:write(text))
  file:close()
end

-- libgit2 checks host keys against .ssh/known_hosts of what it takes for the home directory, and reads its
-- configuration there: so it gets one that holds nothing else.
local function set_up(job, staging)
  local home = staging .. "/home"
  files.make(home .. "/.ssh", 448)
  if job.knownhosts ~= "" and uv.fs_stat(job.knownhosts) then
    write(home .. "/.ssh/known_hosts", known_hosts.sorted(read_file(job.knownhosts)))
  end
  uv.os_setenv("HOME", home)
  local ca = job.ca ~= "" and job.ca or os.getenv("SSL_CERT_FILE") or CA_FILE
  if job.ca ~= "" then read_file(ca) elseif not uv.fs_stat(ca) then ca = nil end
  need(git.setup({ home = home, ca_file = ca }))
end

-- What is shown to the server; secrets: what must appear in no message.
local function connection(job, secrets)
  local url, user, password = source.connection(job.url)
  if not password and job.token ~= "" and url:find("^https:") then
    local token_user, token = credentials.find(read_file(job.token), url, job.format)
    user, password = user or token_user, token
  end
  secrets[#secrets + 1] = password
  local key = job.key ~= "" and job.key or nil
  if key then files.check(uv.fs_access(key, "R"), "agent.gitkey: " .. key .. " can't be read") end
  return { url = url, user = user, password = password, key = key, max_bytes = job.maxsize }
end

-- Whether the commit that is in force is the one that the remote would give.
local function is_current(current, chosen)
  if not current then return false end
  local id = chosen.id or chosen.find
  return current:sub(1, #id) == id
end

local function links_of(repository)
  return function(entry) return need(repository:blob(entry.id)) end
end

-- Writes checked entries below `path`, which is not there yet.
local function export(repository, entries, path)
  files.make(path, 493)
  for _, entry in ipairs(entries) do
    local to, kind = path .. "/" .. entry.path, tree_rules.kind(entry.mode)
    if kind == "file" then
      need(repository:save(entry.id, to, tree_rules.executable(entry.mode) and 493 or 420))
    elseif kind == "link" then
      files.check(uv.fs_symlink(need(repository:blob(entry.id)), to))
    else
      files.make(to, 493)
    end
  end
end

-- Puts `name` in force. A directory that isn't ours changes places with the link and is then put beside the trees;
-- where the file system can't exchange, it is out of the way for a moment.
local function switch(place, staging, name)
  local link, away = staging .. "/link", place.trees .. "/foreign-" .. name:match("[%w_]+$")
  files.check(uv.fs_symlink(place.target .. name, link))
  local there = uv.fs_lstat(place.link)
  if not there or there.type ~= "directory" then return files.check(uv.fs_rename(link, place.link)) end
  if git.exchange(link, place.link) then return files.check(uv.fs_rename(link, away)) end
  files.check(uv.fs_rename(place.link, away))
  local ok, why = uv.fs_rename(link, place.link)
  if ok then return end
  uv.fs_rename(away, place.link)
  error({ code = "failed", message = why }, 0)
end

-- Without history where the server has that way.
local function fetch_refs(repository, remote, chosen)
  local shallow = chosen.shallow and not remote.url:find("^file:")
  local ok, why, code = repository:fetch(chosen.specs, shallow)
  if not ok and shallow and why:find("shallow", 1, true) then
    need(repository:connect(remote))
    ok, why, code = repository:fetch(chosen.specs, false)
  end
  need(ok, why, code)
end

-- Gets the wanted commit into a repository below `staging`; nil when it is `current`.
local function get(job, staging, current, secrets)
  set_up(job, staging)
  local repository = need(git.create(staging .. "/repository"))
  local remote = connection(job, secrets)
  need(repository:connect(remote))
  local chosen = need(refs.choose(need(repository:refs()), job.ref))
  if is_current(current, chosen) then return nil end
  fetch_refs(repository, remote, chosen)
  local commit, why, code = repository:commit(chosen.find)
  if not commit and code == "not_found" and job.ref then why = "no branch, tag or commit " .. job.ref end
  need(commit, why, code)
  return repository, commit
end

-- Checks and writes what was fetched; the new tree.
local function bring_out(job, place, staging, repository, commit)
  local entries = need(repository:entries(commit,
    { max_bytes = job.maxsize, max_entries = job.maxfiles, max_depth = MAX_DEPTH }))
  need(tree_rules.check(entries, links_of(repository)))
  export(repository, entries, staging .. "/tree")
  repository:close()
  need(tree_rules.entry(uv, staging .. "/tree"))
  need(git.sync(staging))
  local name = places.name(commit, job.project, job.ref, job.unique)
  files.make(place.trees, 493)
  files.make(place.link:match("^(.*)/"), 493)
  files.check(uv.fs_rename(staging .. "/tree", place.trees .. "/" .. name))
  switch(place, staging, name)
  return assert(look.describe(place, place.trees .. "/" .. name, commit, job))
end

local function redact(message, secrets)
  for _, secret in ipairs(secrets) do
    local from, to = message:find(secret, 1, true)
    while from do
      message = message:sub(1, from - 1) .. "***" .. message:sub(to + 1)
      from, to = message:find(secret, from + 3, true)
    end
  end
  return message
end

local function described(err, job, secrets)
  if type(err) ~= "table" then return debug.traceback(redact(tostring(err), secrets), 2) end
  local message = redact(("%s: %s"):format(source.shown(job.url), err.message), secrets)
  return { code = err.code, message = message }
end

--- job: see agent.worker.git. Returns { tree =, changed = }; raises { code =, message = }.
function M.run(root, job)
  local place, secrets = places.of(root, job.ns, job.dir), {}
  local staging = ("%s/%s/%s"):format(root, places.STAGING, job.unique)
  files.make(root .. "/" .. places.STAGING, 448)
  local ok, result = xpcall(function()
    local tree, err, theirs = look.at(root, job)
    local current = not err and not theirs and tree and tree.commit or nil
    files.make(staging, 448)
    local repository, commit = get(job, staging, current, secrets)
    if not repository then return { tree = tree, changed = false } end
    return { tree = bring_out(job, place, staging, repository, commit), changed = true }
  end, function(err) return described(err, job, secrets) end)
  pcall(files.remove, staging)
  if not ok then error(result, 0) end
  return result
end

return M
