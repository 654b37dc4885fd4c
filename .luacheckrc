std = "luajit"
max_line_length = 120
include_files = { "**/*.lua", "rockspec/*.rockspec" }
exclude_files = { "lua/agent/_meta/**", "tests/fixtures/**", "build/**" }
files["spec"] = { std = "luajit+busted" }
files["tests"] = { std = "luajit+busted" }
files["builtin"] = { std = "luajit", read_globals = { "json" } }
files["conf"] = { std = "luajit", globals = { "env" } }
files["rockspec"] = { std = "+rockspec" }
