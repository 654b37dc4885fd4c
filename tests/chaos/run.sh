#!/bin/sh
# The oracle, see docs/chaos.md. SEEDS (20) from FIRST (1) on, JOBS (2) at a time; SEED: only that one.
# CHAOS_SECONDS (7): how long a story is.
set -eu
build=${BUILD:-build}
export AGENT="$PWD/$build/agent" NSQD="$PWD/build/tools/nsqd" LC_ALL=C.UTF-8
exec "$AGENT" lua tests/chaos/main.lua
