-- Source `file:PATH`: a Lua file that returns { ["web.shop.loda"] = { {measurement_type = "CPU", …}, … } },
-- evaluated in a worker of its own. A change of the file is noticed.

local M = {}
M.__index = M

local SETTLE = 0.2 -- seconds that a change waits for the rest of the write

--- path; load(path, callback(err, data)) evaluates a Lua file; after(seconds, fn) → timer.
function M.new(path, load, after)
  return setmetatable({ path = path, load = load, after = after }, M)
end

function M:fetch(callback)
  self.load(self.path, function(err, data)
    if err then return callback({ code = err.code or "file", message = err.message }) end
    if type(data) ~= "table" then
      local message = ("%s: returns a %s, not a table of namespaces"):format(self.path, type(data))
      return callback({ code = "file", message = message })
    end
    local namespaces = {}
    for ns, items in pairs(data) do namespaces[ns] = { items = items } end
    callback(nil, { namespaces = namespaces })
  end)
end

--- Calls changed() some time after the file was written, replaced or made. Its directory is watched, for
--- editors and deployments rename a new file into place; where it can't be (err), there is the minute's cycle.
---@return string? err
function M:watch(changed)
  local directory, name = self.path:match("^(.*)/([^/]*)$")
  local watcher = require("luv").new_fs_event()
  local ok, why = watcher:start(directory or ".", {}, function(_, file)
    if file ~= (name or self.path) or self.settling then return end
    self.settling = self.after(SETTLE, function()
      self.settling = nil
      changed()
    end)
  end)
  if not ok then
    watcher:close()
    return why
  end
  self.watcher = watcher
end

function M:close()
  if self.watcher then self.watcher:close() end
  if self.settling then self.settling:cancel() end
  self.watcher, self.settling = nil, nil
end

return M
