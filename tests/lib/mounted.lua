-- Whether something is mounted at a path.

return function(path)
  local file = assert(io.open("/proc/mounts"))
  local mounts = file:read("*a")
  file:close()
  return mounts:find(" " .. path .. " ", 1, true) ~= nil
end
