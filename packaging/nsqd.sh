#!/bin/sh
# Puts nsqd, or another program of NSQ's, at the given path, which ends with its name: the one on PATH, else built from
# the pinned module with the machine's Go, else with Debian's. Leaves nothing there when none works; tests then say so.
set -u
target=$1
mkdir -p "$(dirname "$target")"
here=$(cd "$(dirname "$0")/.." && pwd)

name=$(basename "$target")
case $name in
bench_*) package=bench/$name ;;
*) package=apps/$name ;;
esac

if command -v "$name" >/dev/null; then
    ln -sf "$(command -v "$name")" "$target"
    exit 0
fi
if ! command -v go >/dev/null; then
    if [ "$(id -u)" = 0 ]; then root=; else root="sudo -n"; fi
    echo "installing: golang-go (to build $name)"
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends golang-go \
        >/dev/null 2>&1 </dev/null
fi
out=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")
(cd "$here/tests/tools/nsq" && GOFLAGS=-mod=mod go build -o "$out" "github.com/nsqio/nsq/$package") ||
    echo "nsqd.sh: no $name on PATH and it could not be built; what needs it is skipped" >&2
exit 0
