local M = { summary = "print the version", usage = "agent version" }

function M.run()
  local build = require("host").build
  print(("Monitor Agent v%s (git: %s %s) build: %s %s"):format(
    build.version, build.branch, build.commit, build.buildtime, jit.version))
  return 0
end

return M
