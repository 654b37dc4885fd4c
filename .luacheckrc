std = "luajit"
max_line_length = 110
include_files = { "lua", "builtin", "conf", "spec", "tests", "rockspec" }
exclude_files = { "lua/agent/_meta/**" }
files["spec"] = { std = "luajit+busted" }
files["tests"] = { std = "luajit+busted" }
files["conf"] = { std = "luajit", globals = { "env" } }
files["rockspec"] = { std = "+rockspec" }
