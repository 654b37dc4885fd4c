#!/bin/sh
# The benchmark: a table on stdout and in build/bench/results.md, samples in build/bench/samples.txt.
# BENCH_SECONDS (120): how long the programs are watched. BENCH_WARMUP (20): how long they run before.
# BENCH_ROWS ("cycle processes api delivery start registry builtins plugins programs"): which parts to run.
# BENCH_PROCESSES (0): so many more processes for PROC, up to what kernel.pid_max allows. Best as root: without a cgroup of its own a
# program's short-lived children are counted only as far as sampling sees them.
set -eu
build=${BUILD:-build}
mkdir -p build/bench
export AGENT="$PWD/$build/agent" NSQD="$PWD/build/tools/nsqd" FLOOR="$PWD/build/bench/floor" \
  SCRIPTS="$PWD/build/bench/scripts" BENCH_WRITER="$PWD/build/tools/bench_writer" LC_ALL=C.UTF-8
export TMPDIR="${TMPDIR:-/tmp}" # nsqd's data on a disk, as where it serves
${CC:-cc} -std=gnu11 -O2 -D_GNU_SOURCE -Wall -Wextra -o "$FLOOR" tests/bench/floor.c
${CC:-cc} -std=gnu11 -O2 -D_GNU_SOURCE -Wall -Wextra -o build/bench/processes tests/bench/processes.c
${CC:-cc} -std=gnu11 -O2 -D_GNU_SOURCE -Wall -Wextra -o "$SCRIPTS" tests/bench/scripts.c
exec "$AGENT" lua tests/bench/main.lua
