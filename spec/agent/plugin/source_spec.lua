local credentials = require("agent.plugin.credentials")
local source = require("agent.plugin.source")

local ALL = { "https", "ssh", "git", "file" }

describe("the project of an item's git value", function()
  it("is what stands before .git", function()
    for git, project in pairs({
      ["git@git.example.org:ops/mysql.git"] = "ops/mysql",
      ["git@git.example.org:ops/SEC-login.git"] = "ops/SEC-login",
      ["https://git.example.org/ops/mysql.git"] = "ops/mysql",
      ["ssh://git@git.example.org:2222/ops/db/mysql.git"] = "ops/db/mysql",
      ["file:///srv/git/mysql.git"] = "srv/git/mysql",
      ["ops/mysql"] = "ops/mysql",
    }) do
      local found, dir = source.project(git)
      assert.equal(project, found)
      assert.equal(project:match("[^/]+$"), dir)
    end
  end)

  it("is refused where it could become another path", function()
    for _, git in ipairs({ "", "mysql", "..", "../x", "ops/..", "ops/.git", "ops/.hidden", "ops/-x", "/etc/x",
      "ops//x", "ops/x/",
      "git@h:../x.git", "git@h:ops/../x.git", "git@h:ops/...git", "git@h:ops/.git", "git@h:ops/x", "git@h:/ops/x.git",
      "git@h:.git", "git@h:ops/a b.git", "git@h:ops/x\n.git", "git@h:ops/x%2e.git", "git@h:o:ps/x.git", "x:git",
      "https://h/../ops/x.git", "https://h/ops/.x.git", "https://h/ops/x.git?y",
      "git@h:ops/" .. ("x"):rep(101) .. ".git",
      "-oProxy=x@h:ops/x.git", "ops/x\0y" }) do
      assert.is_nil((source.project(git)), git)
    end
  end)
end)

describe("the clone URL", function()
  it("is agent.git with the project in it, whatever host the item names", function()
    assert.equal("https://git.example.org/ops/mysql.git",
      source.url("git@elsewhere:ops/mysql.git", "https://git.example.org/%s.git", ALL))
    assert.equal("git@git.example.org:ops/mysql.git",
      source.url("git@elsewhere:ops/mysql.git", "git@git.example.org:%s.git", ALL))
  end)

  it("is the item's own where agent.git is %s", function()
    for _, git in ipairs({ "git@git.example.org:ops/mysql.git", "https://git.example.org:8443/ops/mysql.git",
      "ssh://git@[::1]:22/ops/mysql.git", "git://git.example.org/ops/mysql.git", "file:///srv/ops/mysql.git" }) do
      assert.equal(git, (source.url(git, "%s", ALL)))
    end
    assert.is_nil((source.url("ops/mysql", "%s", ALL)))
  end)

  it("is refused with a scheme that isn't allowed, however it is written", function()
    for _, git in ipairs({ "http://h/ops/x.git", "ext::sh/ops/x.git", "ftp://h/ops/x.git", "HTTPS://h/ops/x.git",
      "file://h/ops/x.git", "file://../ops/x.git", "https:///ops/x.git", "https://-h/ops/x.git",
      "https://h:x/ops/x.git",
      "ssh://-oProxyCommand=x/ops/x.git", "https://a@b@h/ops/x.git" }) do
      local url, why = source.url(git, "%s", ALL)
      assert.is_nil(url, git)
      assert.is_string(why)
    end
    assert.is_nil((source.url("git@h:ops/x.git", "%s", { "https" })))
    assert.is_nil((source.url("git@h:ops/x.git", "", ALL)))
  end)

  it("is shown without password, and without what may be a token", function()
    assert.equal("https://h/x.git", source.shown("https://secret@h/x.git"))
    assert.equal("https://h/x.git", source.shown("https://user:secret@h/x.git"))
    assert.equal("https://h/x.git", source.shown("https://user:se@cret@h/x.git"))
    assert.equal("ssh://git@h:22/x.git", source.shown("ssh://git:secret@h:22/x.git"))
    assert.equal("git@h:x.git", source.shown("git@h:x.git"))
    local _, why = source.url("https://u:secret@h/ops/x.git", "%s", { "ssh" })
    assert.is_nil(why:find("secret", 1, true))
  end)

  it("is taken apart for who connects", function()
    assert.same({ "https://h:1/x.git", "u", "p" }, { source.connection("https://u:p@h:1/x.git") })
    assert.same({ "https://h/x.git" }, { source.connection("https://h/x.git") })
    assert.same({ "git://h/x.git" }, { source.connection("git://git@h/x.git") })
    assert.same({ "git@h:x.git" }, { source.connection("git@h:x.git") })
  end)
end)

describe("a ref", function()
  it("is a branch, tag or commit", function()
    for _, ref in ipairs({ "release", "v1.2.3", "team/x", "0123abc", "a+b" }) do
      assert.is_nil(source.refuse_ref(ref))
    end
    for _, ref in ipairs({ "", "-x", "a..b", "a b", "a^{tree}", "a:b", "a~1", "a@{1}", "/a", "a/", "a//b", "a.lock",
      ".a", "a/.b", "a*", "refs\\x", ("a"):rep(201) }) do
      assert.is_string(source.refuse_ref(ref), ref)
    end
  end)
end)

describe("a namespace", function()
  it("is a directory's name, and none that is ours", function()
    assert.is_nil(source.refuse_ns("web.shop.loda"))
    for _, ns in ipairs({ "", ".", "..", ".trees", "a/b", "-a", "plugin.disabled", "a\n" }) do
      assert.is_string(source.refuse_ns(ns), ns)
    end
  end)
end)

describe("the token file", function()
  local URL = "https://git.example.org/ops/x.git"
  local FORMAT = "https://git.example.org/%s.git"

  it("is for the host of agent.git", function()
    assert.same({ "oauth2", "secret" }, { credentials.find("secret\n", URL, FORMAT) })
    assert.same({ "bot", "secret:1" }, { credentials.find("# comment\nbot:secret:1\n", URL, FORMAT) })
    assert.same({}, { credentials.find("secret", "https://evil.example.org/ops/x.git", "%s") })
    assert.same({}, { credentials.find("secret", URL, "%s") })
    assert.same({}, { credentials.find("secret", URL, "git@git.example.org:%s.git") })
    assert.same({}, { credentials.find("secret", "http://git.example.org/ops/x.git", FORMAT) })
  end)

  it("may name hosts, as git's own credential store does", function()
    local text = "https://a:b@other.example.org\nhttps://bot:s%20t@git.example.org\nhttps://c:d@git.example.org:8443\n"
    assert.same({ "bot", "s t" }, { credentials.find(text, URL, "%s") })
    assert.same({ "c", "d" }, { credentials.find(text, "https://git.example.org:8443/ops/x.git", "%s") })
    assert.same({}, { credentials.find(text, "https://evil.example.org/ops/x.git", "%s") })
  end)
end)
