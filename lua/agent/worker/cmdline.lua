-- Reads the command lines of processes, for which the kernel takes the memory lock of each: while something
-- holds that lock this process hangs.

local LARGEST = 2 ^ 20

-- The arguments with blanks between them; nil where the process is gone or not ours to see.
local function command_line(procfs, pid)
  local file = io.open(("%s/%d/cmdline"):format(procfs, pid), "rb")
  if not file then return nil end
  local bytes = file:read(LARGEST)
  file:close()
  return bytes and (bytes:gsub("%z+$", ""):gsub("%z", " "))
end

-- A letter for each pattern: 1 when the command line contains it, else 0.
local function marks(line, patterns)
  local list = {}
  for i, pattern in ipairs(patterns) do
    list[i] = line and line:find(pattern, 1, true) and "1" or "0"
  end
  return table.concat(list)
end

--- request: { procfs = path, { pid, patterns = { string, … } }, … }. Emits one string for each in order: for each
--- of its patterns 1 or 0.
return function(request, emit)
  for _, one in ipairs(request) do
    emit(marks(command_line(request.procfs, one[1]), one.patterns))
  end
end
