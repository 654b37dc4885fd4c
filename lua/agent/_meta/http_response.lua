---@meta host.http_response

--- Reads HTTP/1.1 responses from bytes, in slices of any size; for whoever has a connection of its own.
local http_response = {}

---@class host.http_response.response
local Response = {}

--- For the answer to one request that is not HEAD.
---@return host.http_response.response
function http_response.new() end

--- Takes the next bytes; returns what they hold of the body, and whether the response is complete. nil, message,
--- "EPROTO": not HTTP, or bytes behind the response; then there is nothing more to be fed.
---@param bytes string
---@return string?, boolean|string, string?
function Response:feed(bytes) end

--- The peer has closed: true when the response is complete, or was one that ends so; else nil, message, "EPROTO".
---@return true?, string?, string?
function Response:finish() end

--- 0 until the head has been read.
---@return integer
function Response:status() end

return http_response
