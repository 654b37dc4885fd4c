-- libgit2 asks a server for the kind of key that known_hosts names first. Of RSA keys it knows only the signature
-- with SHA-1, which OpenSSH no longer gives since 8.8: so other kinds come first.

local M = {}

--- The text of a known_hosts file with its RSA keys at the end.
function M.sorted(text)
  local first, last = {}, {}
  for line in text:gmatch("[^\r\n]+") do
    local list = line:find(" ssh%-rsa ") and last or first
    list[#list + 1] = line
  end
  for _, line in ipairs(last) do first[#first + 1] = line end
  return table.concat(first, "\n") .. "\n"
end

return M
