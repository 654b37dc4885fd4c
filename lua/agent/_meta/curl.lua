---@meta curl

--- HTTP requests with libcurl: for worker processes only (agent.worker.modules). Calls of a session may block, those of
--- a multi don't.
local curl = {}

---@class curl.options
---@field deadline_ms? number from open() to the end of the last answer; default 10000
---@field connect_ms? number default 4000
---@field max_body? number bytes of one answer, decoded; default 8 MiB
---@field ca_file? string PEM
---@field ca_dir? string
---@field cert? string of the client, PEM
---@field key? string
---@field no_proxy? string "*": no proxy at all; default as the environment says
---@field user_agent? string

---@class curl.request
---@field url string http or https
---@field body? string POST, else GET
---@field headers? string[] "Name: value"

---@class curl.result
---@field status integer 0 without an answer
---@field body? string whole; nil with code
---@field redirect? string where a 3xx points to; nobody follows it
---@field code? "timeout"|"resolve"|"connect"|"cut"|"tls"|"too_large"|"failed" no whole answer came
---@field message? string with code
---@field wire_bytes number of the body, before it was decoded
---@field retry_after? integer seconds that the server asked us to wait
---@field reused boolean over a connection that was open already

---@class curl.session
local Session = {}

--- Raises on wrong options.
---@param options curl.options
---@return curl.session?, string?, string?
function curl.open(options) end

--- Queues a request; several are under way at once, over as few connections as answer promptly.
---@param request curl.request
---@return integer? id, string?, string?
function Session:add(request) end

--- Blocks until a request is over: its id and result, in the order they end; nothing when none is left.
---@return integer?, curl.result?
function Session:next() end

--- The deadline counts from now on: for sessions that live longer than one errand.
---@param deadline_ms number
function Session:renew(deadline_ms) end

--- Breaks off what is under way. Any number of times.
function Session:close() end

---@class curl.multi.request
---@field url string http or https
---@field method? string default GET, with a body POST
---@field body? string
---@field headers? string[] "Name: value"
---@field connect_to? string "HOST:PORT:ADDRESS:PORT": no name is looked up
---@field unix? string path of a socket, in place of an address
---@field ca_file? string PEM
---@field certificate? string PEM, our own
---@field key? string PEM
---@field user? string "name:password"
---@field max_body? integer bytes, default 1 MiB
---@field follow? integer redirects, default 0
---@field insecure? boolean any certificate will do

---@class curl.multi.result
---@field status integer
---@field head string of all answers, redirects included
---@field body? string nil with code
---@field address? string
---@field certificate? string when the server's expires: "Nov 22 17:29:16 2026 GMT"
---@field connect number seconds since the start at which it was over, as of the next three
---@field tls number
---@field first_byte number
---@field total number
---@field code? string as of curl.result
---@field message? string

---@class curl.multi
local Multi = {}

--- Requests side by side, each over a connection of its own, driven by the caller's loop.
---@return curl.multi?, string?, string?
function curl.multi() end

--- Begins a request at the next act().
---@param request curl.multi.request
---@return integer? id, string?, string?
function Multi:add(request) end

--- Breaks a request off; an unknown id is fine.
---@param id integer
function Multi:remove(id) end

--- Descriptor that is readable whenever act() has something to do.
---@return integer
function Multi:fd() end

--- Does what can be done now.
---@param time_has_come? boolean that of timeout()
function Multi:act(time_has_come) end

--- Milliseconds until act() is due; nothing when it isn't.
---@return integer?
function Multi:timeout() end

--- The next request that is over; nothing when there is none now.
---@return integer?, curl.multi.result?
function Multi:next() end

--- Requests under way.
---@return integer
function Multi:count() end

--- Breaks off what is under way. Any number of times.
function Multi:close() end

return curl
