-- Source `file:PATH`: a Lua file that returns { ["web.shop.loda"] = { {measurement_type = "CPU", …}, … } },
-- evaluated in a worker of its own.

local M = {}

--- Returns the source for registry.new(). load(path, callback(err, data)) evaluates a Lua file.
function M.source(path, load)
  return function(callback)
    load(path, function(err, data)
      if err then return callback({ code = err.code or "file", message = path .. ": " .. err.message }) end
      if type(data) ~= "table" then
        return callback({ code = "file", message = path .. ": returns a " .. type(data) .. ", not a table of namespaces" })
      end
      callback(nil, data)
    end)
  end
end

return M
