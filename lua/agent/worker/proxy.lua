-- Which proxy libcurl shall take, beyond what it knows itself.

local uv = require("luv")

local M = {}

--- What goes into no_proxy for requests to a URL, or nil. As the Go agent's client had it: HTTP_PROXY counts in
--- capitals too, and this very machine needs no proxy.
function M.exception(url)
  if not os.getenv("http_proxy") and os.getenv("HTTP_PROXY") then
    uv.os_setenv("http_proxy", os.getenv("HTTP_PROXY"))
  end
  local place = url:match("^%a+://([^/?#]*)") or ""
  local name = place:match("[^@]*$"):lower():gsub(":%d+$", "")
  if name == "localhost" or name == "[::1]" or name:find("^127%.%d") then return "*" end
end

return M
