-- Source `file:PATH`: a Lua file that returns { ["web.shop.loda"] = { {measurement_type = "CPU", …}, … } },
-- evaluated in a worker of its own.

local M = {}

--- Returns the source for registry.new(). load(path, callback(err, data)) evaluates a Lua file.
function M.source(path, load)
  return function(callback)
    load(path, function(err, data)
      if err then return callback({ code = err.code or "file", message = path .. ": " .. err.message }) end
      if type(data) ~= "table" then
        local message = ("%s: returns a %s, not a table of namespaces"):format(path, type(data))
        return callback({ code = "file", message = message })
      end
      callback(nil, data)
    end)
  end
end

return M
