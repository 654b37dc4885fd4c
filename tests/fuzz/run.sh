#!/bin/sh
# run.sh SECONDS TARGET…: each fuzz target under libFuzzer with ASan and UBSan for so long, from its
# checked-in corpus, as many at once as there are processors. What it finds new stays in build/fuzz/corpus.
set -eu
seconds=$1
shift
out=build/fuzz
export out seconds
mkdir -p "$out/objects"
parser=-lhttp_parser; define=
if [ -e /usr/include/llhttp.h ]; then parser=-lllhttp; define=-DHAVE_LLHTTP; fi
# Parsers in Lua load LPeg, which finds Lua's symbols in the program.
lua="-isystem $(pkg-config --variable=includedir luajit) -Wl,-E $(pkg-config --variable=libdir luajit)/libluajit-5.1.a"
flags="-g -O1 -std=gnu11 -D_GNU_SOURCE $define -Isrc -fno-sanitize-recover=all"
libs="$lua -luv $parser -lz -lm -ldl -lpthread"
export flags libs

# What all targets link with, compiled once.
rm -f "$out/objects"/*.o "$out/libcores.a"
# shellcheck disable=SC2016,SC2038
find src -name '*.c' -not -name 'lua_*' -not -path 'src/host/*' -not -path 'src/git/*' \
    -not -path 'src/curl/*' -not -path 'src/tls/*' -not -name main.c | xargs -P "$(nproc)" -I{} sh -c '
    clang $flags -fsanitize=fuzzer-no-link,address,undefined -c -o "$out/objects/$(echo {} | tr / _).o" {}'
ar rcs "$out/libcores.a" "$out/objects"/*.o

# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c '
    target={}
    name=${target#fuzz_}
    mkdir -p "$out/corpus/$name"
    if clang $flags -fsanitize=fuzzer,address,undefined -o "$out/$target" "tests/fuzz/$target.c" "$out/libcores.a" $libs \
        >"$out/$target.log" 2>&1 &&
        "$out/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=0 \
        -artifact_prefix="$out/$name-" "$out/corpus/$name" "tests/fuzz/corpus/$name" >"$out/$target.log" 2>&1; then
        echo "ok - $target: $(sed -n "s/^Done \([0-9]*\) runs.*/\1/p" "$out/$target.log") runs"
    else
        echo "not ok - $target"
        tail -n 30 "$out/$target.log"
    fi' | tee "$out/result"
passed=$(grep -c '^ok' "$out/result" || true)
failed=$(grep -c '^not ok' "$out/result" || true)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
