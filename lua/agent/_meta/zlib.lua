---@meta zlib

--- Compression. Loaded only where something is compressed.
local zlib = {}

--- Raw DEFLATE in both directions of a connection; see tls.client for what a maker is.
---@param level? integer 1 (quick) to 9 (small), default 6
---@return filter_maker
function zlib.deflater(level) end

--- The text as one gzip member. Raises without memory.
---@param text string
---@param level? integer default 6
---@return string
function zlib.gzip(text, level) end

return zlib
