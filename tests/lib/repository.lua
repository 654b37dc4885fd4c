-- Git repositories for tests, made with the git command in a folder of the test's.

local program = require("program")

local M = {}

local IDENTITY = "git -c user.name=test -c user.email=test@localhost -c init.defaultBranch=main"

local function sh(text)
  local status = os.execute("{ " .. text .. "; } >/dev/null 2>&1")
  assert(status == 0 or status == true, "failed: " .. text)
end

--- Commits `files` (path → text; "plugin" and *.sh become executable; false removes one) on the branch "release" of
--- the bare repository FOLDER/git/NAME.git ("group/project"), which is made when it isn't there. Returns the commit.
function M.commit(folder, name, files, branch)
  local bare, work = folder .. "/git/" .. name .. ".git", folder .. "/work/" .. name
  branch = branch or "release"
  if not program.read(bare .. "/HEAD") then
    sh(("mkdir -p '%s' '%s' && cd '%s' && %s init -q --bare"):format(bare, work, bare, IDENTITY))
    sh(("cd '%s' && %s init -q && git remote add origin '%s'"):format(work, IDENTITY, bare))
  end
  sh(("cd '%s' && { git checkout -q '%s' || git checkout -q -b '%s' || git symbolic-ref HEAD 'refs/heads/%s'; }")
    :format(work, branch, branch, branch))
  for path, text in pairs(files) do
    local to = work .. "/" .. path
    sh(("mkdir -p \"$(dirname '%s')\""):format(to))
    if text == false then
      os.remove(to)
    else
      program.write(to, text)
      if path == "plugin" or path:find("%.sh$") then sh(("chmod +x '%s'"):format(to)) end
    end
  end
  sh(("cd '%s' && git add -A && %s commit -q --allow-empty -m change && git push -q -f origin '%s'")
    :format(work, IDENTITY, branch))
  local pipe = io.popen(("git -C '%s' rev-parse HEAD"):format(work))
  local commit = pipe:read("*l")
  pipe:close()
  return commit
end

--- The address of such a repository as an item's `git` has it with agent.git = FORMAT.
function M.address(name)
  return "git@git.example.org:" .. name .. ".git"
end

--- agent.git for the repositories of a folder.
function M.format(folder)
  return "file://" .. folder .. "/git/%s.git"
end

return M
