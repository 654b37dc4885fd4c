---@meta host.http_client

--- HTTP/1.1 connections for POST requests, kept alive between them. Nothing here blocks; a connection never
--- reconnects.
local http_client = {}

---@class host.http_client.options
---@field ip string numeric IPv4 or IPv6 address
---@field port? integer default 80
---@field connect_ms? integer default 5000
---@field reply_ms? integer from a request to the end of its answer; default 5000
---@field tls? filter_maker see tls.client
---@field name? string with tls: who the server's certificate must be for
---@field on_ready? fun() requests are taken from now on
---@field on_closed? fun(err: { code: string, message: string }?) once and last; nil after close() or when the
--- server closed an idle connection

---@class host.http_client.connection
local Connection = {}

--- Begins to connect. Raises on wrong options; nil, message, code on an address that can't be.
---@param options host.http_client.options
---@return host.http_client.connection?, string?, string?
function http_client.connect(options) end

--- Sends one request at the end of this turn of the loop. `fields` are whole header lines, each ended by CR LF;
--- Content-Length is added. done(err, status, body) is called once; err as for on_closed, whatever the
--- status. nil, message, code when not connected (ENOTCONN), not idle (EAGAIN) or over 8 MiB (ENOBUFS).
---@param target string path and query, already escaped
---@param fields string
---@param pieces string[] the body
---@param done fun(err: { code: string, message: string }?, status: integer?, body: string?)
---@return true?, string?, string?
function Connection:post(target, fields, pieces, done) end

--- Connected and not waiting for an answer.
---@return boolean
function Connection:idle() end

--- A waiting request fails with ECANCELED now; on_closed comes later. May be repeated.
function Connection:close() end

return http_client
