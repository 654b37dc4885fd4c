-- GET or POST with curl over TCP, for tests that ask real servers; waits for the answer.
local program = require("program")

--- body, status; with `data` a POST.
return function(url, data)
  local args = { "-s", "-m", "20", "-w", "\n%{http_code}", url }
  if data then
    table.insert(args, 1, "--data-binary")
    table.insert(args, 2, data)
  end
  local curl = program.spawn("/usr/bin/curl", args)
  curl.wait(25)
  local text, status = curl.output:match("^(.*)\n(%d+)$")
  return text, tonumber(status)
end
