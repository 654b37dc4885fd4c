---@meta host.exec

local exec = {}

---@class host.exec.limits soft and hard, as setrlimit(2) sets them; with a cgroup where that is said
---@field cpu_s integer|nil seconds of CPU
---@field address_space integer|nil bytes; not set in builds with AddressSanitizer
---@field processes integer|nil of the user, all together; without effect for root. With a pids controller also: in the cgroup
---@field open_files integer|nil
---@field file_size integer|nil bytes
---@field core integer|nil bytes
---@field memory integer|nil bytes of all processes of the run, without swap: needs `cgroup` and a memory controller, else without effect
---@field cpu number|nil cores (0.5 = half of one): needs `cgroup` and a cpu controller, else without effect

---@class host.exec.options
---@field argv string[]
---@field path string|nil the file to execute; default argv[1]. Must hold a slash: PATH is never searched, no shell is ever started
---@field cwd string|nil
---@field user string|nil a local user (/etc/passwd only; NSS may block) or "UID:GID"; supplementary groups are cleared
---@field net_raw boolean|nil with user: it keeps CAP_NET_RAW, when we have it, and no other capability
---@field env table<string, string>|nil the complete environment; default only PATH
---@field stdin string|nil default /dev/null
---@field channel boolean|nil descriptor 3 is a socket for frames: u32 big endian length, then at most 8 MiB
---@field on_frame fun(bytes: string)|nil
---@field deadline_ms number|nil default 60000; 0: none, it may run for ever
---@field grace_ms number|nil default 1000: from TERM to KILL, and from its exit to the end of its output
---@field max_output number|nil bytes of stdout and of stderr, default 1 MiB; more is read, at most 50 MB/s, and thrown away
---@field limits host.exec.limits|nil
---@field cgroup string|nil a run so called has a cgroup (v2) of its own wherever we may make one, and nothing in it survives the run; letters, digits, "_", "-", "."; kept for the next run of this name
---@field on_gone fun()|nil called when a child ended that had been reported as stuck

---@class host.exec.rusage
---@field user_ms number
---@field system_ms number
---@field maxrss number bytes

---@class host.exec.error
---@field code string ENOENT, EACCES, …; ETIMEDOUT (and timed_out): its turn did not come before the deadline, since other starts hang or take long
---@field step string what failed: "execve", "chdir", "setuid", …
---@field message string "step: reason"

---@class host.exec.result
---@field error host.exec.error|nil it could not be started; code is -1 then
---@field code integer|nil exit status, -1 when a signal ended it, nil when stuck
---@field signal integer|nil 0 when it exited
---@field timed_out boolean
---@field truncated boolean
---@field stuck boolean KILL did not end it (it hangs in the kernel); perhaps before it began: a directory or program on a dead mount
---@field bad_frame boolean killed because its channel broke the protocol
---@field stdout string
---@field stderr string
---@field duration_ms number
---@field rusage host.exec.rusage of the child and what it waited for
---@field cgroup true|nil it was in a cgroup of its own
---@field memory_peak number|nil bytes, of all its processes together: with a memory controller

---@class host.exec.handle
local Handle = {}

--- Starts a program in a session of its own; does not block. At the deadline its process group gets TERM,
--- grace_ms later the group and all its descendants KILL. The callback comes once, after exit and end of
--- output (at most grace_ms after the exit). Whatever it left running is killed then, daemons too. When the
--- agent dies, the child gets TERM (with a channel: KILL). Raises on bad options. Starting happens in a
--- thread and is part of the deadline: a failure of it is told in result.error; nil, message, CODE only when
--- we lack what a start needs (EMFILE, ENOMEM, EAGAIN: several starts hang), or for an unknown user.
---@param options host.exec.options
---@param callback fun(result: host.exec.result)
---@return host.exec.handle|nil, string|nil, string|nil
function exec.run(options, callback) end

---@class host.exec.cgroups
---@field directory string|nil below which children get cgroups of their own; nil: they get none
---@field why string|nil then the reason
---@field memory boolean whether the limit of this name holds there
---@field cpu boolean
---@field processes boolean

--- Where children that ask for a cgroup get it; nil before the first of them was started.
---@return host.exec.cgroups|nil
function exec.cgroups() end

--- Ends it before its deadline.
---@param how "TERM"|"KILL"|nil default TERM, then as at a deadline
function Handle:kill(how) end

--- nil: there is no process yet, or never was one.
---@return integer|nil
function Handle:pid() end

--- Queues one frame; never blocks. nil, message, CODE: gone (EPIPE), over 8 MiB (EMSGSIZE), or 16 MiB wait
--- already (ENOBUFS).
---@param frame string
---@return true|nil, string|nil, string|nil
function Handle:send(frame) end

--- The child reads the end of the channel after what was sent.
function Handle:end_send() end

return exec
