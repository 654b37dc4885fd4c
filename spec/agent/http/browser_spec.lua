local refusal = require("agent.http.browser").refusal

describe("a request by TCP", function()
  it("may call this host by an address, as localhost, or by a name that is listed", function()
    for _, host in ipairs({ "127.0.0.1", "127.0.0.1:1232", "10.2.3.4:80", "localhost", "LOCALHOST:1232", "[::1]:1232",
      "[::1]", "web07.example.org", "Web07.example.org:1232" }) do
      assert.is_nil(refusal({ host = host }, { "web07.example.org" }), host)
    end
    assert.is_nil(refusal({}, {})) -- HTTP/1.0 of a program; browsers always send one
  end)

  it("is refused by any other name: DNS may say anything", function()
    for _, host in ipairs({ "evil.example", "loda:1234", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b",
      "1.2.3", "256.0.0.1", "[::1", "[x]", "localhost@evil", "web07" }) do
      assert.is_string(refusal({ host = host }, { "web07.example.org" }), host)
    end
  end)

  it("is refused when a page of another origin makes it", function()
    for origin, allowed in pairs({ ["http://localhost:1232"] = true, ["HTTP://LOCALHOST:1232"] = true,
      ["http://localhost"] = false, ["http://localhost:3000"] = false, ["null"] = false, [""] = false,
      ["https://evil.example"] = false }) do
      assert.equal(allowed, refusal({ host = "localhost:1232", origin = origin }) == nil, origin)
    end
    local sites = { ["cross-site"] = false, ["same-site"] = false, ["same-origin"] = true, none = true }
    for site, allowed in pairs(sites) do
      assert.equal(allowed, refusal({ host = "localhost", ["sec-fetch-site"] = site }) == nil, site)
    end
  end)
end)
