---@meta host.http

--- HTTP/1.0 and 1.1 server. A connection has one request at a time in the handler; pipelined ones follow
--- in order. Malformed, oversized and late requests are answered here and never seen by the handler.
local http = {}

---@class host.http.request
---@field method string
---@field path string decoded
---@field query table<string, string> decoded; of a repeated name the first
---@field headers table<string, string> names in lower case; repeated ones joined by ", "
---@field body string
---@field version "1.0"|"1.1"
---@field peer "unix"|"tcp"

---@class host.http.options
---@field path? string listen on a unix socket: parents are made (0755), a dead socket replaced, mode 0777
---@field ip? string or listen on TCP at this numeric address
---@field port? integer 0: any free one
---@field on_request fun(request: host.http.request, reply: host.http.reply) if it raises, or the reply is
--- dropped without an answer, the client gets a 500
---@field connections? integer default 256; beyond it the one waiting longest for its client is dropped
---@field requests? integer of one connection, default 10000
---@field body? integer bytes, default 8 MiB
---@field memory? integer bytes held for all clients together, default 24 MiB; beyond it bodies get a 503
---@field idle_ms? integer default 60000
---@field head_ms? integer default 10000
---@field body_ms? integer default 60000
---@field answer_ms? integer for the handler, then 504; default 120000
---@field write_ms? integer for the client to take its answer; default 30000
---@field linger_ms? integer default 2000

---@class host.http.counters
---@field connections integer open now
---@field memory integer bytes held now
---@field accepted integer
---@field requests integer handed to the handler
---@field refused integer answered by the server itself
---@field dropped integer closed to make room, or because the client didn't take its answer

---@class host.http.server
local Server = {}

---@class host.http.reply
local Reply = {}

--- Begins to listen; the server lives until it is closed. Raises on wrong options; nil, message, code
--- (EADDRINUSE, EACCES, …) when it can't be bound.
---@param options host.http.options
---@return host.http.server?, string?, string?
function http.listen(options) end

--- Stops listening, drops every connection, removes the socket. Any number of times.
function Server:close() end

---@return host.http.counters
function Server:counters() end

--- Forgets the answers that were to be given again, see Reply:send().
function Server:forget() end

--- From now on new connections speak TLS; calling it again replaces certificate and key.
---@param maker filter_maker of tls.server()
function Server:tls(maker) end

---@return integer port that was bound; 0 on a unix socket and when closed
function Server:port() end

--- Whether the client is gone, or was answered.
---@return boolean
function Reply:gone() end

--- Who asks, nil when it is gone: over the unix socket uid, gid and pid at the moment of connecting.
---@return { uid?: integer, gid?: integer, pid?: integer, address?: string, loopback?: boolean }?
function Reply:peer() end

--- Whether the process at the other end of the unix socket was in that group, supplementary groups included.
---@param gid integer
---@return boolean
function Reply:in_group(gid) end

--- Begins an answer whose pieces come later; the last one of its connection. Returns false when the client is
--- gone or asked for the head only (then there is nothing to be done). A client that lets more than 256 KiB
--- wait is dropped.
---@param status integer 200..599
---@param headers? table<string, string>
---@param on_gone? fun() called once if the client goes, or is dropped, before finish()
---@return boolean
function Reply:stream(status, headers, on_gone) end

--- Sends a piece of the stream. Returns false when the client is gone.
---@param bytes string
---@return boolean
function Reply:write(bytes) end

--- Ends the stream. Returns false when the client is gone.
---@return boolean
function Reply:finish() end

--- Answers, at once or later, but once: a second time raises. Content-Length, Date and Connection are the
--- server's. Returns false when the client is gone.
---@param status integer 200..599
---@param headers? table<string, string>
---@param body? string
---@return boolean
function Reply:send(status, headers, body) end

--- The answer to come, if it is sent from within on_request, may be given again: so many milliseconds whoever sends
--- the very same bytes gets it without a call of on_request, until Server:forget(). Only for what the bytes of the
--- request alone decide.
---@param ms integer 0..1000
function Reply:keep(ms) end

--- Whether two strings are the same; the time it takes depends on the length of the first alone.
---@param given string
---@param secret string
---@return boolean
function http.same(given, secret) end

return http
