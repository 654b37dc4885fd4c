-- Where a run takes place: in namespaces of its own where that is permitted, so that nothing of it is left whatever
-- happens, and so that it can have a disk and a network to itself.

local M = {}

local flags = { "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc" }

-- All that a run will want to do.
local rehearsal = "ip link set lo up && ip link add name probe0 type veth peer name probe1 && mount -t tmpfs none /mnt"

local function quoted(argv)
  return "'" .. table.concat(argv, "' '") .. "'"
end

--- The arguments before a command that runs in a room of its own; an empty array and why not, where that is impossible.
function M.enter()
  for _, user in ipairs({ {}, { "--map-root-user" } }) do
    local argv = { "unshare", unpack(user) }
    for _, flag in ipairs(flags) do argv[#argv + 1] = flag end
    if os.execute(("%s sh -c '%s' >/dev/null 2>&1"):format(quoted(argv), rehearsal)) == 0 then return argv end
  end
  return {}, "no namespaces with a network and mounts of one's own are permitted here (unshare)"
end

return M
