---@meta host.regex

--- Regular expressions whose time grows with the text's length and no faster, whatever the expression: RE2's syntax
--- without back references and looking around. `. [a-z] [^a] [[:alpha:]] \d \w \s \D \W \S \xHH ^ $ \A \z \b \B
--- (…) (?:…) (?P<name>…) (?i) (?s) (?m) | * + ? {2,5}` and lazy `*? +? ?? {2,5}?`. Works on bytes.
local regex = {}

---@class host.regex
local Regex = {}

--- nil, message, "regex" when it is none.
---@param pattern string
---@return host.regex?, string? message, string? code
function regex.new(pattern) end

--- Whether it occurs in the text; nil, message, "too_large" when that would take more than about 0.2 s.
---@param text string
---@return boolean?, string? message, string? code
function Regex:test(text) end

--- The leftmost match and its groups (nil for those that took no part); nothing when there is none; nil, message,
--- "too_large".
---@param text string
---@return string? ...
function Regex:match(text) end

--- The names of the groups, "" for those without one.
---@return string[]
function Regex:groups() end

return regex
