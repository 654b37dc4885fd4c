-- Plugins out of real repositories, by the real worker: over file:// and git daemon.

local ffi = require("ffi")
local git = require("git_server")
local peer = require("peer")
local program = require("program")
local uv = require("luv")
local wait = require("wait")

ffi.cdef("unsigned umask(unsigned);")

local NS = "web.shop.loda"
local HELLO = { ["plugin.sh"] = "#!/bin/bash\necho [1]\n" }

describe("a plugin's checkout", function()
  local folder, checkout, hello, first, daemon

  before_each(function()
    folder = program.folder()
    git.sh(folder, "mkdir ops")
    hello = git.repository(folder, "ops/hello")
    first = hello:commit(HELLO)
    checkout = git.checkout(folder)
  end)
  after_each(function()
    if daemon then daemon = daemon.stop() end
    checkout:idle()
    program.remove(folder)
  end)

  local function real(path) return assert(uv.fs_realpath(folder)) .. "/plugins/" .. path end

  local function read(path) return program.read(folder .. "/plugins/" .. path) end

  local function trees() return git.list(folder .. "/plugins/.trees/" .. NS .. "/hello") end

  it("is cloned, and its tree is a real directory behind one link", function()
    local tree, err = checkout:ensure(git.record(NS, "hello"))
    assert.is_nil(err and err.message)
    assert.equal(first, tree.commit)
    assert.equal("plugin.sh", tree.entry)
    assert.equal(tree.path, uv.fs_realpath(tree.path))
    assert.equal(tree.path, uv.fs_realpath(real(NS .. "/hello")))
    assert.equal(real(".trees/" .. NS .. "/hello/" .. trees()), tree.path)
    assert.equal("link", uv.fs_lstat(real(NS .. "/hello")).type)
    assert.equal(HELLO["plugin.sh"], read(NS .. "/hello/plugin.sh"))
    assert.equal("", git.list(real(".staging")))
    assert.is_nil(uv.fs_stat(tree.path .. "/.git"))
  end)

  it("is readable for everybody whatever our umask, and its home belongs to the plugins' user", function()
    hello:commit({ ["bin/x"] = "#!/bin/sh\n", ["lib/data"] = "d" })
    checkout = git.checkout(folder, nil, uv.getuid() == 0 and "65534:65534" or uv.getuid() .. ":" .. uv.getgid())
    local umask = ffi.C.umask(63)
    local tree = checkout:ensure(git.record(NS, "hello"))
    ffi.C.umask(umask)
    local function mode(path) return ("%o"):format(bit.band(uv.fs_stat(path).mode, 511)) end
    assert.same({ "755", "755", "644", "755" }, { mode(tree.path), mode(tree.path .. "/bin/x"),
      mode(tree.path .. "/lib/data"), mode(tree.path .. "/lib") })
    for _, path in ipairs({ "", NS, ".trees", ".trees/" .. NS, ".home/" .. NS }) do
      assert.equal("755", mode(real(path)), path)
    end
    assert.equal("700", mode(tree.home))
    assert.equal(uv.getuid() == 0 and 65534 or uv.getuid(), uv.fs_stat(tree.home).uid)
  end)

  it("that is there already is used without asking anybody", function()
    local tree = checkout:ensure(git.record(NS, "hello"))
    hello:commit({ news = "1" })
    git.sh(folder, "mv ops gone")
    local again = git.checkout(folder):ensure(git.record(NS, "hello"))
    assert.same(tree, again)
  end)

  it("is updated to what the server has now, and the old tree goes when it is released", function()
    local record = git.record(NS, "hello")
    local old = checkout:ensure(record)
    local second = hello:commit({ news = "1" })
    local tree, err, changed = checkout:update(record)
    assert.is_nil(err and err.message)
    assert.is_true(changed)
    assert.equal(second, tree.commit)
    assert.equal(HELLO["plugin.sh"], program.read(old.path .. "/plugin.sh")) -- a run may still be in it
    checkout.checkout:release(record, tree) -- the one in force stays whoever asks
    checkout.checkout:release(record, old)
    checkout:idle()
    assert.is_nil(uv.fs_stat(old.path))
    assert.equal("1", read(NS .. "/hello/news"))
    assert.same({}, checkout.logged)
  end)

  it("stays the same tree when the server has nothing new", function()
    local record = git.record(NS, "hello")
    local old = checkout:ensure(record)
    local tree, err, changed = checkout:update(record)
    assert.is_nil(err)
    assert.is_false(changed)
    assert.same(old, tree)
  end)

  it("follows a history that was written anew", function()
    local record = git.record(NS, "hello")
    checkout:ensure(record)
    hello:sh("git commit -q --amend -m other")
    local amended = hello:push()
    assert.are_not.equal(first, amended)
    assert.equal(amended, checkout:update(record).commit)
  end)

  it("is the one of branch release, else of the remote's HEAD", function()
    hello:sh("git checkout -q -b zzz")
    hello:commit({ zzz = "1" })
    local trunk = git.repository(folder, "ops/trunk", "trunk")
    trunk:sh("git checkout -q -b aaa && git commit -q --allow-empty -m a && git checkout -q -b trunk")
    local head = trunk:commit(HELLO)
    assert.equal(first, checkout:ensure(git.record(NS, "hello")).commit)
    assert.equal(head, checkout:ensure(git.record(NS, "trunk")).commit)
  end)

  it("can be pinned to a branch, a tag, a tag with a message, a commit and the beginning of one", function()
    hello:sh("git tag light && git tag -a -m m heavy")
    local second = hello:commit({ news = "1" })
    hello:sh("git checkout -q -b beta/1")
    local beta = hello:commit({ news = "2" })
    for ref, commit in pairs({ light = first, heavy = first, ["beta/1"] = beta, [first] = first,
      [second:sub(1, 8)] = second, release = second }) do
      local tree, err = checkout:update(git.record(NS, "hello", { ref = ref }))
      assert.is_nil(err and err.message)
      assert.equal(commit, tree.commit)
      local _, _, changed = checkout:update(git.record(NS, "hello", { ref = ref }))
      assert.is_false(changed)
    end
  end)

  it("of another ref than the item's is replaced, and serves on while that can't be had", function()
    local tree = checkout:ensure(git.record(NS, "hello"))
    local serving, err = checkout:ensure(git.record(NS, "hello", { ref = "nowhere" }))
    assert.equal("not_found", err.code)
    assert.same(tree, serving)
    hello:sh("git checkout -q -b beta")
    local beta = hello:commit({ news = "1" })
    assert.equal(beta, checkout:ensure(git.record(NS, "hello", { ref = "beta" })).commit)
  end)

  it("of a ref that isn't there fails by name", function()
    for _, ref in ipairs({ "nowhere", ("1"):rep(40), "abcdef1" }) do
      local tree, err = checkout:ensure(git.record(NS, "hello", { ref = ref }))
      assert.is_nil(tree)
      assert.equal("not_found", err.code)
      assert.matches("hello.git: no branch.* " .. ref .. "$", err.message)
    end
    assert.equal("", git.list(real(".staging")))
  end)

  it("serves on when an update fails, whatever is wrong", function()
    local record = git.record(NS, "hello")
    local old = checkout:ensure(record)
    hello:commit({}, "git rm -q plugin.sh")
    local tree, err = checkout:update(record)
    assert.is_nil(tree)
    assert.equal("bad_tree", err.code)
    git.sh(folder, "mv ops gone")
    tree, err = checkout:update(record)
    assert.is_nil(tree)
    assert.is_truthy(err)
    assert.same(old, checkout:ensure(record))
    assert.equal("", git.list(real(".staging")))
    assert.equal(old.path:match("[^/]+$"), trees())
  end)

  it("with links keeps those that stay inside", function()
    hello:commit(HELLO, "mkdir -p a/b && ln -s ../../plugin.sh a/b/up && ln -s a/b/up plugin && ln -s . here")
    local tree, err = checkout:ensure(git.record(NS, "hello"))
    assert.is_nil(err and err.message)
    assert.equal(HELLO["plugin.sh"], program.read(tree.path .. "/plugin"))
  end)

  it("is refused when a link leads out of the tree", function()
    for i, command in ipairs({ "ln -s /etc/passwd x", "ln -s ../../../etc x", "mkdir d && ln -s ../.. d/x",
      "ln -s . here && ln -s here/.. x" }) do
      local bad = git.repository(folder, "ops/bad" .. i)
      bad:commit(HELLO, command)
      local tree, err = checkout:ensure(git.record(NS, "bad" .. i))
      assert.is_nil(tree, command)
      assert.equal("bad_tree", err.code)
      assert.matches("x\": leads out of the tree", err.message)
      assert.is_nil(uv.fs_lstat(real(NS .. "/bad" .. i)))
    end
  end)

  it("is refused without a program, or with one that can't be run", function()
    git.repository(folder, "ops/none"):commit({ readme = "x" })
    git.repository(folder, "ops/plain"):commit({ plugin = "x" })
    git.repository(folder, "ops/dir"):commit({ ["plugin.sh/x"] = "x" })
    for _, name in ipairs({ "none", "plain", "dir" }) do
      local _, err = checkout:ensure(git.record(NS, name))
      assert.equal("bad_tree", err.code)
    end
    local good = git.repository(folder, "ops/good")
    good:commit({ plugin = "#!/bin/sh\n" })
    assert.equal("plugin", checkout:ensure(git.record(NS, "good")).entry)
  end)

  it("is refused with too many files, too large ones, or too much behind a small tree", function()
    local many = git.repository(folder, "ops/many")
    many:commit(HELLO, "seq 100 | xargs touch")
    git.repository(folder, "ops/large"):commit(HELLO, "head -c 2000000 /dev/zero >zeros")
    local past = git.repository(folder, "ops/past")
    past:commit(HELLO, "head -c 2000000 /dev/urandom >noise")
    local gone = past:commit({}, "git rm -q noise") -- a pinned commit comes with its history
    daemon = git.daemon(folder)
    checkout = git.checkout(folder, { git = ("git://127.0.0.1:%d/%%s.git"):format(daemon.port) })
    for name, why in pairs({ many = "gitmaxfiles", large = "gitmaxsize", past = "gitmaxsize" }) do
      local tree, err = checkout:ensure(git.record(NS, name, { ref = name == "past" and gone or nil }))
      assert.is_nil(tree, name)
      assert.equal("too_big", err.code)
      assert.matches(why, err.message)
    end
    assert.equal("", git.list(real(".staging")))
  end)

  it("is refused when its directories multiply", function()
    local bomb = git.repository(folder, "ops/bomb")
    bomb:commit(HELLO, [[blob=$(echo x | git hash-object -w --stdin)
      tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf "100644 blob $blob\t$i\n"; done | git mktree)
      for depth in 1 2 3 4 5 6 7 8; do
        tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf "040000 tree $tree\t$i\n"; done | git mktree); done
      git commit-tree -m x $tree >commit && git push -q ]] .. bomb.bare .. [[ $(cat commit):refs/heads/bomb]])
    local _, err = checkout:ensure(git.record(NS, "bomb", { ref = "bomb" }))
    assert.equal("too_big", err.code)
  end)

  it("of an empty repository, or of none, fails and leaves nothing", function()
    git.repository(folder, "ops/empty")
    local _, err = checkout:ensure(git.record(NS, "empty"))
    assert.equal("empty", err.code)
    _, err = checkout:ensure(git.record(NS, "missing"))
    assert.equal("file://" .. folder .. "/ops/missing.git", err.message:match("^(.-): "))
    assert.equal("", git.list(real(".staging")))
  end)

  it("knows no filters, attributes, hooks and submodules", function()
    local filters = git.repository(folder, "ops/filters")
    filters:commit({ ["plugin.sh"] = "echo $Id$\n", [".gitattributes"] = "* text eol=crlf ident filter=evil\n" },
      "git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,module")
    filters:sh("mkdir -p ../evil")
    local tree, err = checkout:ensure(git.record(NS, "filters"))
    assert.is_nil(err and err.message)
    assert.equal("echo $Id$\n", program.read(tree.path .. "/plugin.sh"))
    assert.equal("", git.list(tree.path .. "/module"))
  end)

  it("comes over git's own protocol too", function()
    daemon = git.daemon(folder)
    checkout = git.checkout(folder, { git = ("git://git@127.0.0.1:%d/%%s.git"):format(daemon.port) })
    assert.equal(first, checkout:ensure(git.record(NS, "hello")).commit)
    local second = hello:commit({ news = "1" })
    assert.equal(second, checkout:update(git.record(NS, "hello")).commit)
    local _, err = checkout:ensure(git.record(NS, "missing"))
    assert.matches("^git://127.0.0.1:%d+/ops/missing.git: ", err.message)
  end)

  it("of one name in two namespaces is two, and may be asked for by many at once", function()
    local other, done, seen = "db.shop.loda", 0, {}
    for _ = 1, 5 do
      for _, ns in ipairs({ NS, other }) do
        for _, method in ipairs({ "ensure", "update" }) do
          checkout.checkout[method](checkout.checkout, git.record(ns, "hello"), function(err, tree)
            assert.is_nil(err and err.message)
            done = done + 1
            seen[tree.path] = true
          end)
          assert.is_true(checkout.checkout:status().workers <= 2)
        end
      end
    end
    wait.until_true(function() return done == 20 end, 60000)
    local paths = {}
    for path in pairs(seen) do paths[#paths + 1] = path end
    assert.equal(2, #paths)
    assert.equal(1, select(2, trees():gsub("%S+", "")))
  end)

  it("that the Go agent left is used as it is until the first update", function()
    git.sh(folder, ("mkdir -p plugins/%s && cd plugins/%s && git clone -q %s hello"):format(NS, NS, hello.bare))
    local left, err = checkout:ensure(git.record(NS, "hello"))
    assert.is_nil(err and err.message)
    assert.same({ real(NS .. "/hello"), first, "plugin.sh" }, { left.path, left.commit, left.entry })
    assert.equal("directory", uv.fs_lstat(real(NS .. "/hello")).type)
    local tree, _, changed = checkout:update(git.record(NS, "hello"))
    assert.is_true(changed)
    assert.equal(tree.path, uv.fs_realpath(real(NS .. "/hello")))
    checkout.checkout:release(git.record(NS, "hello"), left)
    checkout:idle()
    checkout = git.checkout(folder) -- and its directory goes at the next start
    assert.same(tree, checkout:ensure(git.record(NS, "hello")))
    assert.equal(tree.path:match("[^/]+$"), trees())
  end)

  it("is not disturbed by what a crash left behind, which goes at the first use", function()
    local tree = checkout:ensure(git.record(NS, "hello"))
    git.sh(folder, ("mkdir -p plugins/.staging/1_1/tree plugins/.trees/%s/hello/left plugins/.trees/a.loda/b/left && "
      .. "ln -s / plugins/.staging/1_1/root"):format(NS))
    checkout = git.checkout(folder)
    assert.same(tree, checkout:ensure(git.record(NS, "hello")))
    assert.equal(tree.path:match("[^/]+$"), trees())
    assert.equal("", git.list(real(".trees/a.loda/b")))
    assert.is_nil(uv.fs_stat(real(".staging")))
  end)

  it("is refused by what it is called", function()
    local function code(record)
      local _, err = checkout:ensure(record)
      return err and err.code
    end
    assert.equal("refused", code(git.record("..", "hello")))
    assert.equal("refused", code(git.record("a/b", "hello")))
    assert.equal("refused", code(git.record(".trees", "hello")))
    assert.equal("refused", code(git.record("plugin.disabled", "hello")))
    assert.equal("refused", code(git.record(NS, "hello", { git = "git@git.example.org:ops/...git" })))
    assert.equal("refused", code(git.record(NS, "hello", { git = "git@git.example.org:../ops/hello.git" })))
    assert.equal("refused", code(git.record(NS, "hello", { ref = "--upload-pack=x" })))
    checkout = git.checkout(folder, { git = "ext::sh -c %s" })
    assert.equal("refused", code(git.record(NS, "hello")))
    checkout = git.checkout(folder, { gitschemes = { "https" } })
    assert.equal("refused", code(git.record(NS, "hello")))
    assert.is_nil(uv.fs_stat(real("..") .. "/ops/hello.git/config.lock"))
  end)

  describe("from a server", function()
    local server
    after_each(function() server.stop() end)

    local function from(serve, conf)
      server = peer.start(serve)
      conf = conf or {}
      conf.git = ("git://127.0.0.1:%d/%%s.git"):format(server.port)
      checkout = git.checkout(folder, conf)
      local tree, err = checkout:ensure(git.record(NS, "hello"))
      checkout:idle()
      assert.is_nil(tree)
      assert.equal("", git.list(real(".staging")))
      return err
    end

    it("that accepts and never speaks ends at its deadline", function()
      local err = from(function(c) c:hang() end, { gitdeadline = 1 })
      assert.equal("timeout", err.code)
      assert.matches("ops/hello.git: not done within 1 s", err.message)
    end)

    it("that sends nonsense fails", function()
      assert.equal("failed", from(function(c) c:write("zzzz nonsense\n") end).code)
    end)

    local function line(text) return ("%04x%s"):format(#text + 4, text) end

    -- Writes the same bytes for as long as the other side reads, at most a gigabyte.
    local function flood(c, bytes)
      local sent = 0
      local function more()
        sent = sent + #bytes
        if sent < 2 ^ 30 and not c.tcp:is_closing() then c.tcp:write(bytes, more) end
      end
      more()
      c:hang()
    end

    -- What comes before a pack: one branch, and what the client wants of it.
    local function offer(c)
      c:write(line(("1"):rep(40) .. " refs/heads/release\0side-band-64k ofs-delta\n") .. "0000")
      c:read_until("done\n")
      c:write(line("NAK\n"))
    end

    it("that names branches for a gigabyte is given up", function()
      if require("sanitizer").present() then
        server = { stop = function() end }
        return pending("branches for a gigabyte: no limit of memory in a build with a sanitizer")
      end
      local name = line(("1"):rep(40) .. " refs/heads/" .. ("x"):rep(200) .. "\n")
      local err = from(function(c) flood(c, name:rep(1000)) end)
      assert.equal("too_big", err.code, err.message)
    end)

    it("that talks for a gigabyte is given up", function()
      local err = from(function(c)
        offer(c)
        flood(c, line("\2" .. ("remote: counting "):rep(1000)))
      end)
      assert.equal("too_big", err.code, err.message)
    end)

    it("that sends a gigabyte of pack is given up at the limit", function()
      local err = from(function(c)
        offer(c)
        -- One blob of 2^30 bytes (its size in groups of 4, 7, 7 … bits), in stored blocks of 60000 bytes.
        c:write(line("\1PACK\0\0\0\2\0\0\0\1" .. "\176\128\128\128\32" .. "\120\1"))
        flood(c, line("\1" .. "\0\96\234\159\21" .. ("z"):rep(60000)))
      end)
      assert.equal("too_big", err.code, err.message)
      assert.matches("gitmaxsize", err.message)
    end)
  end)
end)
