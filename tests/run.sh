#!/bin/sh
# Runs the named suites (unit spec integration servers) with the built program, shows what failed and
# ends with `N passed, N failed, N skipped`. Every suite speaks TAP.
set -u
build=${BUILD:-build}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
export AGENT="$PWD/$build/agent" NSQD="$PWD/build/tools/nsqd" LC_ALL=C.UTF-8

busted() {
    "$AGENT" lua tests/specs.lua "$@" >"$log/$suite.tap" 2>"$log/$suite.err"
    closing $? "$suite"
}

# A program that ends badly without a single `not ok` has failed as a whole.
closing() {
    if [ "$1" != 0 ] && ! grep -q '^not ok' "$log/$suite.tap"; then
        echo "not ok - $2 ended with status $1" >>"$log/$suite.tap"
        tail -n 40 "$log/$suite.err" >>"$log/$suite.tap"
    fi
}

for suite in "$@"; do
    : >"$log/$suite.tap"
    case $suite in
    unit)
        for program in "$build"/tests/unit/test_* "$build"/tests/fuzz/replay_*; do
            name=$(basename "$program")
            [ -x "$program" ] || continue
            [ -e "tests/unit/$name.c" ] || [ -e "tests/fuzz/${name#replay_}.c" ] || continue # its source is gone
            CMOCKA_MESSAGE_OUTPUT=TAP "$program" >"$log/one" 2>>"$log/$suite.err"
            status=$?
            cat "$log/one" >>"$log/$suite.tap"
            if [ $status != 0 ] && ! grep -q '^not ok' "$log/one"; then
                echo "not ok - $program ended with status $status" >>"$log/$suite.tap"
            fi
        done ;;
    spec) busted spec ;;
    integration) busted tests/integration ;;
    servers) busted tests/servers ;;
    esac
    echo "$suite: $(grep -c '^ok' "$log/$suite.tap") ok"
    grep -A12 '^not ok' "$log/$suite.tap"
    [ -z "${VERBOSE:-}" ] || cat "$log/$suite.err"
done
cat "$log"/*.tap | awk '
    /^(not )?ok.*# SKIP/ { skipped++; print "skipped: " $0; next }
    /^ok/ { passed++ }
    /^not ok/ { failed++ }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 || passed == 0 }'
