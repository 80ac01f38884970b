#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/export.sh [large]
#
# What an export costs: of a recording with 10,000 stacks of a C++ program with inlined calls
# (make_big_cc.sh), of a Go program (make_big_go.sh), and of the same programs while they live, which
# nothing stops. `large`: the Go program of 100 MB with 200,000 functions, minutes to build. Beside
# it heaptrack's two steps for the same C++ program, when they are installed.
# Every row is the median of EXPORT_ROUNDS runs (7), by wall and by processor time.
# From the environment: BENCH_LIBRARY and BENCH_OFFHEAP instead of what build/release has.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
library=${BENCH_LIBRARY-$root/build/release/liboffheap.so}
offheap=${BENCH_OFFHEAP-$root/build/release/offheap}
scratch=$(mktemp -d)
program=
trap '[ -z "$program" ] || kill "$program"; rm -rf "$scratch"' EXIT
rounds=${EXPORT_ROUNDS-7}
packages=20 functions=200
if [ "${1-}" = large ]; then
    packages=200 functions=1000
fi

# A row called $1: the rest is a command. $from is its standard input.
measure()
{
    name=$1
    shift
    round=0
    while [ "$round" -lt "$rounds" ]; do
        "$scratch/clock" "$@" <"$from" 2>"$scratch/said"
        round=$((round + 1))
    done >"$scratch/times"
    sort -n -k 3,3 "$scratch/times" | awk -v name="$name" '
        { wall[NR] = $3; processor[NR] = $1; kib[NR] = $2 }
        END {
            at = int((NR + 1) / 2)
            printf "%-44s %8.0f %8.0f %8.0f %9.0f\n", name, wall[at] / 1e6, wall[1] / 1e6,
                processor[at] / 1e6, kib[at]
        }'
    from=/dev/null
}

# Runs the program $2 with 10,000 stacks in exact mode, measures exports of its recording, called $1,
# and then of a second run that still lives.
exports()
{
    rm -rf "$scratch/recordings"
    mkdir "$scratch/recordings"
    LD_PRELOAD=$library OFFHEAP_EXACT=1 OFFHEAP_DIR=$scratch/recordings "$2" 10000 14 >/dev/null
    from=/dev/null
    measure "$1" "$offheap" export -o "$scratch/out.pb.gz" "$scratch"/recordings/big.*
    rm -f "$scratch"/recordings/* "$scratch/started"
    LD_PRELOAD=$library OFFHEAP_EXACT=1 OFFHEAP_DIR=$scratch/recordings "$2" 10000 14 1000 \
        >"$scratch/started" &
    program=$!
    while [ ! -s "$scratch/started" ]; do
        sleep 0.1
    done
    measure "$1, live" "$offheap" export -o "$scratch/out.pb.gz" "$program"
    kill "$program"
    wait "$program" 2>/dev/null || true
    program=
}

cc -O2 -g -std=gnu11 -D_GNU_SOURCE -o "$scratch/clock" "$here/clock.c"
sh "$here/make_big_cc.sh" "$scratch/cc"
make -s -j "$(nproc)" -C "$scratch/cc" >&2
printf '%-44s %8s %8s %8s %9s\n' 'milliseconds' median least cpu 'RSS KiB'
exports 'C++, 10,000 stacks' "$scratch/cc/big"

heaptrack=/usr/lib/heaptrack
interpret=$heaptrack/libexec/heaptrack_interpret
if [ -x "$interpret" ] && command -v heaptrack_print >/dev/null 2>&1; then
    LD_PRELOAD=$heaptrack/libheaptrack_preload.so DUMP_HEAPTRACK_OUTPUT=$scratch/raw \
        "$scratch/cc/big" 10000 14 >/dev/null
    from=$scratch/raw
    measure 'the same, heaptrack_interpret' "$interpret"
    "$interpret" <"$scratch/raw" >"$scratch/interpreted" 2>/dev/null
    from=/dev/null
    measure 'the same, heaptrack_print' heaptrack_print -f "$scratch/interpreted"
fi

for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    [ -x "$go" ] || continue
    sh "$here/make_big_go.sh" "$scratch/go" "$packages" "$functions"
    (cd "$scratch/go" && "$go" build -o big .) >&2 || continue
    exports "Go, $((packages * functions)) functions, 10,000 stacks" "$scratch/go/big"
    break
done
