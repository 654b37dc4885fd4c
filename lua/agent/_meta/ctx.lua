---@meta ctx

--- What a builtin function is handed beside its parameters: fn(params, ctx) → metrics | nil, message.
--- Everything that takes time lets other functions run meanwhile; what could not be done is nil, message, code. Whatever
--- a run opened is closed when it ends, and nothing of it goes on afterwards.
---@class ctx
---@field ns string the namespace of this item
---@field name string the item's name
---@field interval number seconds between two runs
---@field state table plain data (text, numbers, booleans, tables; 64 KiB), kept between the runs of an item: across
---  reloads of the file and restarts of the worker and the agent (a crash of which may lose 5 s of it); as it was before a run that did not come to its end
local ctx = {}

---@alias ctx.code "timeout"|"resolve"|"connect"|"closed"|"too_large"|"tls"|"cut"|"url"|"busy"|"failed"|string an errno such as "ENOENT"

---@class ctx.http.request
---@field url string http or https
---@field method? string default GET, with a body POST
---@field headers? table<string, string|number>|string[]
---@field body? string
---@field timeout? number seconds for all of it, default 10
---@field max_body? number bytes of the answer, default 1 MiB, at most 8 MiB
---@field unix? string path of a socket to connect to instead
---@field verify? boolean false: any certificate will do
---@field ca_file? string PEM of the authorities that are trusted
---@field certificate? string PEM of our own
---@field key? string PEM
---@field user? string "name:password"
---@field redirects? integer how many are followed, default 0

---@class ctx.http.answer
---@field status integer
---@field headers table<string, string> names in lower case; several of one name joined by ", "
---@field body string
---@field times { dns: number, connect: number, tls: number, first_byte: number, total: number } seconds since the start
---  of the request at which each was over; tls 0 without it
---@field certificate_expires? number unix seconds
---@field address string that answered

--- One HTTP request. An answer is an answer, whatever its status.
---@param request ctx.http.request
---@return ctx.http.answer?, string? message, ctx.code?
function ctx.http(request) end

---@class ctx.tcp.options
---@field timeout? number seconds that each wait takes at most, default 5

--- Connects: `ctx.tcp("localhost", 6379)`, `ctx.tcp("unix:/run/x.sock")`.
---@param host string name, address, or unix:/path
---@param port? integer|string
---@param options? ctx.tcp.options
---@return ctx.connection?, string? message, ctx.code?
function ctx.tcp(host, port, options) end

--- Datagrams to and from one address; a port where nobody listens is told by receive().
---@param host string
---@param port integer|string
---@param options? { timeout: number? }
---@return ctx.socket?, string? message, ctx.code?
function ctx.udp(host, port, options) end

--- One ICMP echo; the seconds until its answer. Code "timeout": none came.
---@param host string name or address
---@param options? { timeout: number? } default 5
---@return number? seconds, string? message, ctx.code?
---@overload fun(addresses: string[], options?: { timeout: number? }): table<string, number>?, table<string, string>|string, ctx.code? several addresses at the same time: seconds by address, and why there is no answer of the others
function ctx.ping(host, options) end

--- The addresses of a name, in the resolver's order.
---@param name string
---@param options? { timeout: number? } default 5
---@return string[]?, string? message, ctx.code?
function ctx.resolve(name, options) end

---@class ctx.exec.options
---@field [integer] string the program by its path, and its arguments: never a shell
---@field stdin? string
---@field env? table<string, string> the complete environment; default only PATH
---@field cwd? string
---@field timeout? number seconds; it is killed then, as at the deadline of the run
---@field max_output? integer bytes of each stream, default and at most 1 MiB

--- Runs a program to its end. nil, message, code when it can't be started.
---@param options ctx.exec.options
---@return { code: integer, signal: integer, timed_out: boolean, stdout: string, stderr: string, truncated: boolean }?, string? message, ctx.code?
function ctx.exec(options) end

---@param seconds number
function ctx.sleep(seconds) end

--- The first bytes of a file, /proc and /sys included.
---@param path string absolute
---@param most? integer bytes, default 1 MiB, at most 8
---@param offset? integer where to begin, default 0
---@return string?, string? message, ctx.code?
function ctx.read_file(path, most, offset) end

--- Opens a file to read, which stays this one whatever others do to its name. Closed when the run ends.
---@param path string absolute
---@return ctx.file?, string? message, ctx.code?
function ctx.open(path) end

--- A regular expression: linear in time, RE2's syntax without back references and looking around; see
--- lua/agent/_meta/regex.lua. `:test(text)`, `:match(text)` → the match and its groups, `:groups()` → their names.
---@param pattern string
---@return host.regex?, string? message, string? code "regex"
function ctx.regex(pattern) end

--- What stat(2) says; symbolic links are followed.
---@param path string absolute
---@return ctx.stat?, string? message, ctx.code?
function ctx.stat(path) end

--- The names in a directory, sorted; 10,000 at most.
---@param path string absolute
---@return string[]?, string? message, ctx.code?
function ctx.list(path) end

--- How much a counter grew per second since the run before, by the monotonic clock; never negative. nil the first
--- time, when it went backwards, and after less than 0.1 s. Once for each key in a run; what a run doesn't ask for is
--- forgotten.
---@param key string
---@param counter number
---@return number?
function ctx.rate(key, counter) end

--- A record in the agent's log; ctx.log("text") is info. 50 of a run at most.
---@param level "debug"|"info"|"warning"|"error"|string
---@param message? string
function ctx.log(level, message) end

--- Seconds that are left of this run.
---@return number
function ctx.deadline() end

--- Unix time, with a fraction.
---@return number
function ctx.now() end

--- Seconds of the monotonic clock: for differences.
---@return number
function ctx.mono() end

---@alias ctx.stat { size: number, mtime: number, inode: number, device: number, type: string, mode: integer, uid: integer, gid: integer, born: number } born: 0 where the file system doesn't know

---@class ctx.file
local File = {}

--- Bytes from `offset` (0) on; "" at the end.
---@param most? integer bytes, default 1 MiB, at most 8
---@param offset? integer
---@return string?, string? message, ctx.code?
function File:read(most, offset) end

---@return ctx.stat?, string? message, ctx.code?
function File:stat() end

--- Any number of times.
function File:close() end

---@class ctx.connection
local Connection = {}

--- Sends all of it.
---@param text string
---@param seconds? number
---@return true?, string? message, ctx.code?
function Connection:send(text, seconds) end

--- Exactly `n` bytes (4 MiB at most); without n what there is, at least one.
---@param n? integer
---@param seconds? number
---@return string?, string? message, ctx.code?
function Connection:read(n, seconds) end

--- The next line, without its end; 64 KiB at most.
---@param seconds? number
---@return string?, string? message, ctx.code?
function Connection:line(seconds) end

--- All that comes until the other side closes.
---@param most? integer bytes, default 1 MiB, at most 4
---@param seconds? number
---@return string?, string? message, ctx.code?
function Connection:all(most, seconds) end

--- Any number of times.
function Connection:close() end

---@class ctx.socket
local Socket = {}

--- One datagram.
---@param text string
---@return true?, string? message, ctx.code?
function Socket:send(text) end

--- The next datagram.
---@param seconds? number
---@return string?, string? message, ctx.code?
function Socket:receive(seconds) end

function Socket:close() end

return ctx
