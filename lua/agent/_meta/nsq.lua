---@meta host.nsq

--- Publishing connections to nsqd over TCP (protocol V2). Nothing here blocks; a connection is used once and never
--- reconnects.
local nsq = {}

---@class host.nsq.options
---@field ip string numeric IPv4 or IPv6 address
---@field port integer default 4150
---@field identify string the JSON text of IDENTIFY; ask for feature_negotiation
---@field connect_ms? integer default 5000
---@field ack_ms? integer how long an answer may take, also that to IDENTIFY; default 5000
---@field heartbeat_ms? integer as in `identify`; after two of them in silence nsqd is gone; default 30000
---@field negotiate? fun(reply: string): host.nsq.plan? given nsqd's answer to IDENTIFY; without a plan that was all
---@field on_ready? fun() batches are taken from now on
---@field on_closed? fun(err: { code: string, message: string }?) once and last; nil after close()

---@class host.nsq.plan what nsqd said it would do next; false or what can't be followed closes the connection
---@field tls? filter_maker see tls.client
---@field name? string who nsqd's certificate must be for
---@field deflate? filter_maker see zlib.deflater
---@field secret? string of AUTH

---@class host.nsq.error
---@field code string nsqd's (E_BAD_TOPIC …), a libuv name (ECONNREFUSED, ETIMEDOUT, ECANCELED …) or EPROTO
---@field message string
---@field guilty boolean this batch was answered by the error; false: it only shared the connection

---@class host.nsq.connection
local Connection = {}

--- Begins to connect. Raises on wrong options; nil, message, code on an address that can't be.
---@param options host.nsq.options
---@return host.nsq.connection?, string?, string?
function nsq.connect(options) end

--- 1..64 of [.a-zA-Z0-9_-], optionally ending in #ephemeral.
---@param topic string
---@return boolean
function nsq.valid_topic(topic) end

--- Sends messages (each { head, body }: its bytes are head .. body) as one PUB or MPUB at the end of this turn of the
--- loop. done(err) is called once: nil when nsqd has all of them. Raises on an invalid topic or message;
--- nil, message, code when not ready (ENOTCONN), 64 batches are in flight (EAGAIN), or the bytes are too
--- many: 1 MiB a message, 5 MiB a batch, 8 MiB that nsqd hasn't taken yet (ENOBUFS).
---@param topic string
---@param messages { [1]: string, [2]: string }[]
---@param done fun(err: host.nsq.error?)
---@return true?, string?, string?
function Connection:mpub(topic, messages, done) end

--- Batches not answered yet.
---@return integer
function Connection:inflight() end

--- Whether answers that arrive one by one wake the loop once for all (default true).
---@param on boolean
function Connection:gather(on) end

--- Fails everything in flight with ECANCELED now; on_closed comes later. May be repeated.
function Connection:close() end

return nsq
