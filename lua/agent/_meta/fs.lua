---@meta host.fs

--- Questions to a file system. Each blocks, on a dead one for ever: for worker processes only.
local fs = {}

---@class host.fs.usage as statvfs(3) has them
---@field frsize number bytes of a block
---@field blocks number
---@field bfree number free blocks
---@field bavail number free blocks for ordinary users
---@field files number inodes
---@field ffree number free inodes

--- nil, message, "ENOTDIR" for a mount point that is a file.
---@param path string a directory
---@return host.fs.usage|nil, string|nil, string|nil
function fs.usage(path) end

--- Opens the directory and reads its first entry.
---@param path string
---@return true|nil, string|nil, string|nil
function fs.list(path) end

--- Creates the file, writes the text (at most 256 bytes), reads it back, compares, unlinks it. Follows no
--- symbolic link and touches only what it made itself.
---@param path string a directory
---@param name string
---@param text string
---@return true|nil, string|nil, string|nil
function fs.write(path, name, text) end

--- Reads a part of a regular file below a directory, following no symbolic link on the way.
---@param root string directory
---@param path string relative to it
---@param offset number bytes
---@param max integer bytes, at most 4 MiB
---@return string|nil bytes
---@return number|string size of the file, or message
---@return string|nil code EXDEV, ELOOP: it leads out or over a link; EINVAL: not a regular file
function fs.read_beneath(root, path, offset, max) end

return fs
