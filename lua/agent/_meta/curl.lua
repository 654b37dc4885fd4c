---@meta curl

--- HTTP requests with libcurl. Every call may block: for worker processes only (agent.worker.modules).
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

--- Breaks off what is under way. Any number of times.
function Session:close() end

return curl
