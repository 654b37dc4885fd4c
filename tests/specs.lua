-- Runs busted inside the agent: `agent lua tests/specs.lua PATH [busted options]`, TAP on stdout.
package.path = "./tests/lib/?.lua;" .. package.path
table.insert(arg, 1, "--output=TAP")
table.insert(arg, 2, "--helper=tests/lib/leftovers.lua")
require("busted.runner")({ standalone = false })
