---@meta host.procfs

-- Reads of /proc and /sys. Nothing here waits for a disk or a network: these are the only files that may be
-- read on the loop. What cannot be read or makes no sense gives nil, message, CODE (ENOENT, EACCES, EINVAL for
-- bytes that are not the kernel's, EFBIG beyond 4 MiB); one bad line in a list is passed over.

local procfs = {}

---@class host.procfs.options
---@field procfs? string default "/proc"; any other procfs is the host's: network as its process 1 sees it
---@field sysfs? string default "/sys"; without it link speeds are 0 and disk names tell partitions from disks
---@field rootfs? string not used here

---Opens a reader below the given roots. Files of a real procfs stay open between calls, others do not, so
---that fixtures may be replaced.
---@param options? host.procfs.options
---@return host.procfs.reader? reader
---@return string? message
---@return string? code
function procfs.open(options) end

---@class host.procfs.mount
---@field source string
---@field mount string where
---@field type string
---@field options string comma separated, as they stand there

---The mounts in the bytes of /proc/mounts, escapes (\040 and so on) decoded. Lines that are none, and a last
---line without its newline, are passed over.
---@param bytes string
---@return host.procfs.mount[]
function procfs.parse_mounts(bytes) end

---The tables that methods return are the reader's own: the next call of the same method overwrites them.
---@class host.procfs.reader
local Reader = {}

---@class host.procfs.cpu ticks since boot; guests are counted once, inside user and nice
---@field idle number
---@field total number
---@field cores { id: integer, idle: number, total: number }[] present CPUs; id is N of cpuN, with holes

---@return host.procfs.cpu? cpu
---@return string? message
---@return string? code
function Reader:cpu() end

---@return number? one average over one minute
---@return number|string five
---@return number|string fifteen
function Reader:loadavg() end

---@class host.procfs.disk counters since boot
---@field name string
---@field reads number completed
---@field read_ms number
---@field writes number completed
---@field write_ms number
---@field io_ms number during which it had anything to do

---Whole disks: what /sys/block lists, or by name where there is none; no loop, ram, zram, floppy or optical
---devices, no boot areas of flash, no nbd that was never connected.
---@return host.procfs.disk[]? disks
---@return string? message
---@return string? code
function Reader:disks() end

---@class host.procfs.memory KiB
---@field total number
---@field free number
---@field available number? nil before Linux 3.14
---@field buffers number
---@field cached number
---@field swap_total number
---@field swap_free number

---@return host.procfs.memory? memory
---@return string? message
---@return string? code
function Reader:meminfo() end

---@class host.procfs.interface counters since it exists
---@field name string
---@field in_bytes number
---@field in_dropped number packets
---@field out_bytes number
---@field out_dropped number packets

---@return host.procfs.interface[]? interfaces in the kernel's order
---@return string? message
---@return string? code
function Reader:netdev() end

---@return { used: number, tcp_inuse: number?, tcp_timewait: number? }? sockets IPv4 TCP; nil without IPv4
---@return string? message
---@return string? code
function Reader:sockstat() end

---@return { allocated: number, max: number }? files open files of the whole kernel
---@return string? message
---@return string? code
function Reader:files() end

---Mbit/s; 0 when unknown. Three system calls and a lock in the kernel: ask once a minute.
---@param interface string
---@return number
function Reader:link_speed(interface) end

---Every process, kernel threads too, by the state of its main thread. Up to 256 of their files stay open.
---@return { total: number, running: number, zombies: number }? counts
---@return string? message
---@return string? code
function Reader:processes() end

---Begins a walk over all processes that looks for those whose executable (the link PID/exe) is one of the paths,
---also when its file was removed or replaced since. Raises on paths that are no strings of at most 4096 bytes, and
---on more than 65536.
---@param paths string[] each once
---@return host.procfs.sweep? sweep
---@return string? message
---@return string? code
function Reader:sweep(paths) end

---The kernel's node name, as it is now.
---@return string
function Reader:hostname() end

---Closes every descriptor; any method but hostname raises afterwards. Harmless when called again.
function Reader:close() end

---One walk. What it found is to be asked for after its end; any method but close raises after close().
---@class host.procfs.sweep
local Sweep = {}

---Goes on for about so many milliseconds (one process takes some 5 µs, one that matches 30 µs), but for one process
---at least. true: all are done. A failure (ENOMEM, above 262144 matches too) ends the walk.
---@param ms number
---@return boolean? done
---@return string? message
---@return string? code
function Sweep:step(ms) end

---@class host.procfs.sums
---@field processes integer
---@field deleted integer those whose executable's file was removed or replaced
---@field resident number bytes
---@field fds number? nil when one of them does not show its descriptors to us
---@field ticks number? of CPU since the earlier sweep; nil when no process was in both
---@field read number? bytes since then; nil likewise, and when one of them does not show its I/O to us
---@field written number?
---@field no_fds integer how many don't show
---@field no_io integer

---The processes of path number `path` as one. Those that are not in `earlier` with the same start time and path add
---nothing to ticks, read and written.
---@param path integer
---@param earlier? host.procfs.sweep
---@param pids? table<integer, boolean> only those that are true here
---@return host.procfs.sums
function Sweep:sum(path, earlier, pids) end

---The processes of path number `path`: pid, start time (ticks after boot), pid, start time, …
---@param path integer
---@return number[]
function Sweep:pids(path) end

---How many processes don't show their executable to us: they may or may not match.
---@return integer
function Sweep:hidden() end

---Frees it. Harmless when called again.
function Sweep:close() end

return procfs
