#!/bin/sh
# Everything that can be said about the code without running it; ends with one line per check.
set -u
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

check() {
    name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name"
        grep -v 'warnings generated\|^Suppressed\|^Use -header' "$log" | head -n 60
    fi
}

all=$(find src tests -name '*.c' -o -name '*.h')
sources=$(find src tests/unit tests/fuzz tests/bench -name '*.c')
define=
if [ -e /usr/include/llhttp.h ]; then define=-DHAVE_LLHTTP; fi
flags="-std=gnu11 -D_GNU_SOURCE $define -Isrc -isystem /usr/include/luajit-2.1 -isystem /usr/include/lua5.1"
warnings="-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror"

compile() {
    for source in $sources; do
        # shellcheck disable=SC2086
        "$1" $flags $warnings -O2 -fsyntax-only "$source" || return 1
    done
}
tidy() {
    # shellcheck disable=SC2086
    clang-tidy --quiet $sources -- $flags
}

# shellcheck disable=SC2086
{
    check "gcc warnings" compile gcc
    check "clang warnings" compile clang
    check "clang-format" clang-format --dry-run --Werror $all
    check "clang-tidy" tidy
    check "cppcheck" cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -Isrc \
        --enable=warning,performance,portability --suppress=missingInclude --suppress=missingIncludeSystem \
        -D_GNU_SOURCE src
    check "luacheck" luacheck --no-color -q .
    check "luarocks lint" luarocks lint rockspec/agent-scm-1.rockspec
    check "shellcheck" shellcheck packaging/*.sh tests/*.sh tests/fuzz/*.sh .ci/run
}
[ "$failed" = 0 ]
