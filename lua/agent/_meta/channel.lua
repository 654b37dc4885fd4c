---@meta host.channel

--- A worker's end of the channel (descriptor 3). Blocks: for worker processes only.
local channel = {}

--- The next frame; nil at the end; nil, message, CODE when the channel broke.
---@return string|nil, string|nil, string|nil
function channel.read_frame() end

--- At most 8 MiB (EMSGSIZE). EPIPE: nobody reads any more.
---@param bytes string
---@return true|nil, string|nil, string|nil
function channel.write_frame(bytes) end

return channel
