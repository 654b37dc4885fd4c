#!/bin/sh
# run.sh SECONDS TARGET…: each fuzz target under libFuzzer with ASan and UBSan for so long, from its
# checked-in corpus. What it finds new stays in build/fuzz/corpus.
set -eu
seconds=$1
shift
out=build/fuzz
mkdir -p "$out"
cores=$(find src -name '*.c' -not -name 'lua_*' -not -path 'src/host/*' -not -path 'src/git/*' \
    -not -path 'src/curl/*' -not -path 'src/tls/*' -not -name main.c)
parser=-lhttp_parser; define=
if [ -e /usr/include/llhttp.h ]; then parser=-lllhttp; define=-DHAVE_LLHTTP; fi
# Parsers in Lua load LPeg, which finds Lua's symbols in the program.
lua="-isystem $(pkg-config --variable=includedir luajit) -Wl,-E $(pkg-config --variable=libdir luajit)/libluajit-5.1.a"
passed=0
failed=0
for target in "$@"; do
    name=${target#fuzz_}
    # shellcheck disable=SC2086
    clang -g -O1 -std=gnu11 -D_GNU_SOURCE $define -Isrc -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all -o "$out/$target" "tests/fuzz/$target.c" $cores $lua -luv $parser -lz -lm -ldl -lpthread
    mkdir -p "$out/corpus/$name"
    if "$out/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=0 \
        -artifact_prefix="$out/$name-" "$out/corpus/$name" "tests/fuzz/corpus/$name" >"$out/$target.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $target: $(grep -oE '#[0-9]+' "$out/$target.log" | tail -n 1) runs"
    else
        failed=$((failed + 1))
        echo "not ok - $target"
        tail -n 30 "$out/$target.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
