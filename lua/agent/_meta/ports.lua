---@meta host.ports

--- Whether TCP ports of this machine answer. Nothing here blocks.
local ports = {}

---@class host.ports.check
local Check = {}

--- Connects to 127.0.0.1 and ::1 of all ports at once, at most 2048 sockets at a time and fewer where the limit
--- of open files is low even after raising the soft one to what is needed; each port's time begins with its own
--- connecting. Connections are reset at once, before a byte is sent.
--- callback(answers), once: answers[i] = the seconds until one of the two connected; false: refused, or no answer
--- in time; "EMFILE", "ENOBUFS", … where we had no means to ask, which says nothing about the port.
--- Raises on a list that is wrong; nil, message, code where it can't begin.
---@param list { [1]: integer, [2]: number }[] port and timeout in seconds, over 0 to 3600; at most 65536
---@param callback fun(answers: (number|false|string)[])
---@return host.ports.check? check
---@return string? message
---@return string? code
function ports.check(list, callback) end

--- Ends it without a callback. Harmless afterwards.
function Check:close() end

return ports
