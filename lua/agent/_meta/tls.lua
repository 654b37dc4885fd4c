---@meta tls

--- TLS for connections of the loop, over OpenSSL. Loaded only when TLS is configured; reads no file, nothing blocks.
local tls = {}

---@class tls.options all PEM text, not paths
---@field ca? string who is trusted; a client needs it, a server that has it demands a certificate of its clients
---@field cert? string ours, with the chain behind it; a server needs it
---@field key? string default: it is in `cert`

---@class filter_maker what bindings that connect or listen take as `tls` or `deflate`

--- For connections that we open. nil, message, "ETLS" when something of it can't be used.
---@param options tls.options
---@return filter_maker?, string?, string?
function tls.client(options) end

--- For connections that we accept.
---@param options tls.options
---@return filter_maker?, string?, string?
function tls.server(options) end

return tls
