-- Worker logpart: the next lines of a log file, as JSON. Reading may hang on a dead mount.

local fs = require("host.fs")
local json_string = require("agent.publish.points").json_string

local MAX_BYTES = 256 * 1024

local function open_failed(why, code)
  if code == "EXDEV" or code == "ELOOP" then why = "it leads out of its directory, or over a symbolic link" end
  if code == "EINVAL" then why = "not a regular file" end
  return { code = code, message = why }
end

-- The complete lines of a text, at most `num`, as a JSON array; and how many bytes they are.
local function lines_of(text, num)
  local lines, at = {}, 1
  while #lines < num do
    local _, last = text:find("\n", at, true)
    if not last then break end
    lines[#lines + 1] = json_string(text:sub(at, last))
    at = last + 1
  end
  return "[" .. table.concat(lines, ",") .. "]", at - 1
end

--- request: { root = directory, path = below it, offset = bytes, num = lines at most }. Returns { data = JSON array of
--- the complete lines, next = offset of the first byte behind them, size = of the file, cut = true when a line
--- longer than 256 KiB was passed over }; or { code =, message = }.
return function(request)
  local text, size, code = fs.read_beneath(request.root, request.path, request.offset, MAX_BYTES)
  if not text then return open_failed(size, code) end
  local data, used = lines_of(text, request.num)
  local cut = used == 0 and #text == MAX_BYTES
  if cut then used = #text end
  return { data = data, next = request.offset + used, size = size, cut = cut or nil }
end
