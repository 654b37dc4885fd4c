# make run: everything on a fresh machine, then the agent in the foreground.  make test: all its tests.
SANITIZER ?=
PREFIX    ?= /usr/local
DESTDIR   ?=
BUILD     ?= build$(if $(SANITIZER),/$(SANITIZER))
CC        ?= cc
SANITIZE  := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all)

VERSION := $(shell git describe --tags --dirty 2>/dev/null || echo 0.1.0)
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
BRANCH  := $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
BUILT   := $(shell git log -1 --format=%cd --date=format:%Y-%m-%d_%H:%M:%S 2>/dev/null || echo unknown)

LUAINC   = $(shell pkg-config --variable=includedir luajit)
LIBDIR   = $(shell pkg-config --variable=libdir libuv)
LLHTTP  := $(wildcard /usr/include/llhttp.h)
# Debian 13 calls it libuv.a, Debian 12 libuv_a.a.
LIBUV    = $(firstword $(wildcard $(LIBDIR)/libuv_a.a $(LIBDIR)/libuv.a))
PARSER   = $(if $(LLHTTP),-lllhttp,-lhttp_parser)
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
CFLAGS  ?= -O2 -g
CPPFLAGS = -Isrc -isystem $(LUAINC) -isystem /usr/include/lua5.1 -D_GNU_SOURCE $(if $(LLHTTP),-DHAVE_LLHTTP)
COMPILE  = $(CC) -std=gnu11 $(WARN) $(CFLAGS) $(SANITIZE) $(CPPFLAGS) -fdata-sections -ffunction-sections

# What a process needs is linked in: a shared library costs private pages in every process. libc before libm:
# it has ldexp and frexp too, which are all that a running agent needs, so that libm is never touched.
LIBS     = $(LIBDIR)/libluajit-5.1.a $(LIBDIR)/liblua5.1-luv.a $(LIBUV) -Wl,-Bstatic $(PARSER) -Wl,-Bdynamic \
           -lc -lm -ldl -lpthread
LINK     = $(CC) $(CFLAGS) $(SANITIZE) $(if $(SANITIZER),,-static-libgcc) -Wl,-E -Wl,--gc-sections -Wl,-z,relro,-z,now

SOURCES  = $(filter-out $(wildcard src/git/*.c src/curl/*.c src/tls/*.c src/zlib/*.c),$(wildcard src/*/*.c))
BINDINGS = $(filter src/host/%,$(SOURCES)) $(foreach s,$(SOURCES),$(if $(filter lua_%,$(notdir $s)),$s))
CORES    = $(filter-out $(BINDINGS),$(SOURCES))
# Shared objects that only workers load, or that are loaded when configured; each src/NAME/ of them becomes
# lib/agent/NAME.so.
PLUGINS  = $(patsubst src/%,$(BUILD)/lib/agent/%.so,$(wildcard src/curl src/git src/tls src/zlib))
MODULES  = $(shell find lua/agent -name '*.lua' -not -path '*/_meta/*')
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/src/main.o
LUAOBJ   = $(MODULES:%.lua=$(BUILD)/%.lua.o)
UNITS    = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
FUZZERS  = $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS  = $(FUZZERS:%=$(BUILD)/tests/fuzz/replay_%)
# Programs that integration tests start; they need libfuse3, without which those tests are skipped.
HELPERS  = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/helpers/*.c))

# make V=1 shows the commands themselves.
Q   = $(if $(V),,@)
say = @$(if $(V),:,printf '  %-5s %s\n' $(1) $(2))

.PHONY: build run test test-servers unit spec integration chaos lint fuzz bench install clean force

build: $(BUILD)/agent $(PLUGINS)

run:
	@packaging/deps.sh build
	@$(MAKE) --no-print-directory build
	$(BUILD)/agent start -f conf/local.lua

test:
	@packaging/deps.sh build test
	@$(MAKE) --no-print-directory build $(UNITS) $(REPLAYS) $(HELPERS) build/tools/nsqd
	@BUILD=$(BUILD) tests/run.sh unit spec integration

test-servers:
	@packaging/deps.sh build test servers
	@$(MAKE) --no-print-directory build build/tools/nsqd
	@BUILD=$(BUILD) tests/run.sh servers

unit: $(UNITS) $(REPLAYS)
	@BUILD=$(BUILD) tests/run.sh unit

spec: build
	@BUILD=$(BUILD) tests/run.sh spec

integration: build $(HELPERS) build/tools/nsqd
	@BUILD=$(BUILD) tests/run.sh integration

# SEEDS=200, or SEED=n to see one again.
chaos: build build/tools/nsqd
	@packaging/deps.sh test
	@BUILD=$(BUILD) SEEDS=$(SEEDS) SEED=$(SEED) tests/chaos/run.sh

lint:
	@packaging/deps.sh build test lint
	packaging/lint.sh

fuzz:
	@packaging/deps.sh build fuzz
	@BUILD=$(BUILD) tests/fuzz/run.sh $(or $(SECONDS_EACH),30) $(FUZZERS)

bench:
	@packaging/deps.sh build test bench
	@$(MAKE) --no-print-directory build build/tools/nsqd build/tools/bench_writer
	@BUILD=$(BUILD) tests/bench/run.sh

install: build
	install -D -m 0755 $(BUILD)/agent $(DESTDIR)$(PREFIX)/bin/agent
	install -d $(DESTDIR)$(PREFIX)/lib/agent
	install -m 0644 $(PLUGINS) $(DESTDIR)$(PREFIX)/lib/agent
	install -D -m 0644 conf/agent.lua $(DESTDIR)/etc/agent/agent.lua.sample
	install -d $(DESTDIR)$(PREFIX)/share/agent/builtin
	if ls builtin/*.lua >/dev/null 2>&1; then install -m 0644 builtin/*.lua $(DESTDIR)$(PREFIX)/share/agent/builtin; fi

clean:
	rm -rf build

$(BUILD)/agent: $(OBJECTS) $(LUAOBJ)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# Position independent, and with nothing to be seen but what require() looks for.
$(BUILD)/module/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

# What each of them needs besides its own folder.
$(BUILD)/lib/agent/curl.so: $(patsubst %.c,$(BUILD)/module/%.o,$(wildcard src/curl/*.c) src/util/buffer.c src/util/clock.c)
$(BUILD)/lib/agent/curl.so: LIBRARY = -lcurl
$(BUILD)/lib/agent/git.so: $(patsubst %.c,$(BUILD)/module/%.o,$(wildcard src/git/*.c))
$(BUILD)/lib/agent/git.so: LIBRARY = -lgit2
# Of those that the supervisor may load, code that live connections need is never unmapped (nodelete).
$(BUILD)/lib/agent/tls.so: $(patsubst %.c,$(BUILD)/module/%.o,$(wildcard src/tls/*.c) src/net/lua_filter.c src/util/buffer.c)
$(BUILD)/lib/agent/tls.so: LIBRARY = -Wl,-z,nodelete -lssl -lcrypto
$(BUILD)/lib/agent/zlib.so: $(patsubst %.c,$(BUILD)/module/%.o,$(wildcard src/zlib/*.c) src/net/lua_filter.c src/util/buffer.c)
$(BUILD)/lib/agent/zlib.so: LIBRARY = -Wl,-z,nodelete -lz

$(BUILD)/lib/agent/%.so:
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(CFLAGS) $(SANITIZE) -Wl,-z,relro,-z,now -o $@ $^ $(LIBRARY)

# Unit tests of modules link what they test.
$(BUILD)/tests/unit/test_tls: EXTRA = $(wildcard src/tls/[ce]*.c) -lssl -lcrypto
$(BUILD)/tests/unit/test_stream: EXTRA = -Wl,--wrap=uv_try_write
$(BUILD)/tests/unit/test_deflate $(BUILD)/tests/fuzz/replay_fuzz_deflate: EXTRA = src/zlib/deflate.c -lz

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# The stamp changes only when git's answer does, so an unchanged version rebuilds nothing.
STAMP = $(VERSION) $(COMMIT) $(BRANCH) $(BUILT)
$(BUILD)/src/host/version.o: CPPFLAGS += -DAGENT_VERSION='"$(VERSION)"' -DAGENT_COMMIT='"$(COMMIT)"' \
	-DAGENT_BRANCH='"$(BRANCH)"' -DAGENT_BUILT='"$(BUILT)"'
$(BUILD)/src/host/version.o: $(BUILD)/stamp
$(BUILD)/stamp: force
	@mkdir -p $(@D); echo '$(STAMP)' | cmp -s - $@ || echo '$(STAMP)' >$@
force:

# lua/agent/cli/init.lua is the module agent.cli, compiled with its line numbers for tracebacks.
$(BUILD)/%.lua.o: %.lua
	@mkdir -p $(@D)
	$(call say,LUA,$<)
	$(Q)luajit -bg -n $(subst /,.,$(patsubst %/init,%,$(<:lua/%.lua=%))) $< $@

$(BUILD)/libcores.a: $(CORES:%.c=$(BUILD)/%.o)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libcores.a
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -MMD -MP -o $@ $< $(BUILD)/libcores.a $(EXTRA) -lcmocka $(LIBUV) $(PARSER) -ldl -lpthread

$(BUILD)/tests/helpers/%: tests/helpers/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)if pkg-config --exists fuse3; then \
	  $(CC) -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE $$(pkg-config --cflags fuse3) -o $@ $< -lfuse3 -lpthread; fi

$(BUILD)/tests/fuzz/replay_%: tests/fuzz/%.c tests/fuzz/replay.c $(BUILD)/libcores.a
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -MMD -MP -o $@ $(filter-out %.h $(EXTRA),$^) $(EXTRA) -Wl,-E $(LIBDIR)/libluajit-5.1.a $(LIBUV) $(PARSER) -lm -ldl -lpthread

# The real nsqd, wherever a Go toolchain can be had; tests name what is missing otherwise.
build/tools/nsqd build/tools/bench_writer: tests/tools/nsq/go.mod
	@packaging/nsqd.sh $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
