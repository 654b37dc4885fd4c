local kernels = require("kernels")
local kernel_files = require("agent.collect.kernel_files")

describe("collect.kernel_files", function()
  it("tells what the kernel has open", function()
    assert.are.same({
      ["kernel.files.max"] = 1623056,
      ["kernel.files.allocated"] = 1632,
      ["kernel.files.allocated.percent"] = 0.1, -- 0.1005…
      ["kernel.files.left"] = 1621424,
    }, kernels.flat(kernel_files.read(kernels.open("linux-2.6.32"))))
  end)

  it("bears the limit of today's systemd, 2^63 - 1", function()
    local flat = kernels.flat(kernel_files.read(kernels.open("linux-6.1")))
    assert.are.equal(2 ^ 63, flat["kernel.files.max"])
    assert.are.equal(0, flat["kernel.files.allocated.percent"])
  end)

  it("says what it cannot read", function()
    local metrics, message, code = kernel_files.read(kernels.open("hostile/nonsense"))
    assert.is_nil(metrics)
    assert.is_string(message)
    assert.are.equal("EINVAL", code)
  end)
end)
