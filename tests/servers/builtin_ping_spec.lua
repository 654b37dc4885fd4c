-- builtin/ping.lua with the kernel's own ICMP, and in a network namespace with hosts that don't answer.

local command = require("builtin_command")

-- A namespace with nothing but loopback, which may be told not to answer; 198.51.100.1 has no route.
local function network(setup)
  local can, why = command.can_unshare("-n", "/bin/sh", "-c", "ip link set lo up && " .. setup)
  if not can then return nil, why end
  return { "/usr/bin/unshare", "-n", "/bin/sh", "-c", "ip link set lo up && " .. setup .. " && exec \"$@\"", "sh" }
end

describe("builtin ping", function()
  it("measures loopback by IPv4 and IPv6, as a user without rights", function()
    local values = command.good("ping", { hosts = "127.0.0.1, ::1", count = 5, pause = 0.02 })
    for _, address in ipairs({ "127.0.0.1", "::1" }) do
      local tags = ("{address=%s host=%s}"):format(address, address)
      assert.equal(0, values["loss" .. tags])
      local least, mean, most = values["rtt.min" .. tags], values["rtt.avg" .. tags], values["rtt.max" .. tags]
      assert.is_true(least > 0 and least <= mean and mean <= most and most < 1000)
    end
  end)

  it("tells hosts that don't answer from those that can't be reached", function()
    local before, why = network("echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
    if not before then return pending("ping of a silent host: " .. why) end
    local outcome = command.run("ping", { hosts = "127.0.0.1, 198.51.100.1, ::1", count = 2, timeout = 0.3 },
      { before = before })
    assert.equal(0, outcome.code)
    assert.equal(100, outcome.values["loss{address=127.0.0.1 host=127.0.0.1}"])
    assert.equal(0, outcome.values["up{address=127.0.0.1 host=127.0.0.1}"])
    assert.equal(100, outcome.values["loss{address=198.51.100.1 host=198.51.100.1}"])
    assert.equal(0, outcome.values["loss{address=::1 host=::1}"])
    assert.is_truthy(outcome.output:find("127.0.0.1: no answer within 0.3 s", 1, true), outcome.output)
    assert.is_truthy(outcome.output:find("198.51.100.1: Network is unreachable", 1, true), outcome.output)
  end)

  it("counts what is lost on the way", function()
    local before, why = network("tc qdisc add dev lo root netem loss 50%")
    if not before then return pending("ping with loss: " .. why) end
    local values = command.good("ping", { hosts = "127.0.0.1", count = 40, pause = 0.01, timeout = 0.05 },
      { before = before })
    local loss = values["loss{address=127.0.0.1 host=127.0.0.1}"]
    assert.is_true(loss > 20 and loss < 100, tostring(loss))
  end)
end)
