#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/run.sh [quick]
#
# What the library costs, beside other tools. Every round runs each workload once in every mode, one
# mode after the other; a ratio is that of two neighbours of one round, and the table has its median
# over the rounds with the least and the greatest. Nothing here passes or fails.
#
# +live: with 10,000 live samples in the filter. cgo makes ten pairs in one call of C, as if C had
# a loop there; cgo1 makes one, so that each allocation comes with a walk back into Go. Two threads:
# random2, pair2, deep2, and cross, in which each frees what the other allocated. Then come figures
# that follow from the rows: the cost of one sample, the memory of a live block, and the cost of a
# cache line that two processors write (lines.c). Stalls and export have scripts of their own:
# stall.sh, export.sh.
#
# Installs the peers when it may (apt, as root) and leaves out those that are not there. Leaves
# table.txt, table.md (what PERFORMANCE.md has of a run), results.json and the single measurements
# (raw.txt) in build/bench.
# From the environment:
#   BENCH_LIBRARY    measures this liboffheap.so instead of building build/release
#   BENCH_ROUNDS     rounds (5 when quick, else 9)
#   BENCH_WORKLOADS  only these, by the names of the table

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
. "$here/common.sh"
. "$here/measure.sh"
out=$root/build/bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

case ${1-} in
quick) rounds=${BENCH_ROUNDS-5} scale=1 ;;
'') rounds=${BENCH_ROUNDS-9} scale=4 ;;
*)
    echo 'usage: sh tests/bench/run.sh [quick]' >&2
    exit 2
    ;;
esac

say()
{
    printf '%s\n' "bench: $*" >&2
}

# --- what is measured --------------------------------------------------------------------------

install_peers()
{
    packages='valgrind heaptrack libjemalloc2 google-perftools sqlite3 redis-server redis-tools python3
        jq libxml2-utils'
    missing=
    for package in $packages; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "not installed, left out:$missing"
        return 0
    fi
    # shellcheck disable=SC2086
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
        $missing >"$scratch/apt.log" 2>&1 || say "apt could not install all of:$missing"
}

build_library()
{
    if [ -n "${BENCH_LIBRARY-}" ]; then
        library=$BENCH_LIBRARY
        return 0
    fi
    library=$root/build/release/liboffheap.so
    (cd "$root" && cmake --preset release && cmake --build --preset release) \
        >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log" >&2; exit 1; }
}

build_programs()
{
    build_workloads "$here" "$scratch" cc
    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        [ -x "$go" ] || continue
        (cd "$here/cgo" && "$go" build -o "$scratch/cgo" .) >&2 && break
    done
    [ -x "$scratch/cgo" ] || say 'no go that builds the cgo program: left out'
    sh "$here/inputs.sh" "$scratch"
    cc1=$(cc -print-prog-name=cc1)
    python=/usr/bin/python3
    [ -x "$python" ] || python=$(command -v python3 || true)
    pin=
    if taskset -c 1 true 2>/dev/null; then
        pin='taskset -c 1'
    fi
}

# --- the run -----------------------------------------------------------------------------------

workloads='pair pair+live deep deep+live calloc aligned resize realloc realloc+live large large+live
    heap heap+live random1 random1+live random2 random2+live leak leak+live mmap threads
    cross cross+live pair2 pair2+live deep2 deep2+live keep1000 keep10000 keep100000 keep1000000'
install_peers
build_library
build_programs
[ ! -x "$scratch/cgo" ] || workloads="$workloads cgo cgo1"
workloads="$workloads start cc1"
! command -v sqlite3 >/dev/null 2>&1 || workloads="$workloads sqlite"
[ -z "$python" ] || workloads="$workloads python"
! command -v jq >/dev/null 2>&1 || workloads="$workloads jq"
! command -v xmllint >/dev/null 2>&1 || workloads="$workloads xmllint"
! command -v redis-benchmark >/dev/null 2>&1 || workloads="$workloads redis"
workloads=${BENCH_WORKLOADS-$workloads}

mkdir -p "$out"
: >"$scratch/raw.txt"
begun=$(date +%s)
load_before=$(cut -d ' ' -f 1 /proc/loadavg)
round=1
while [ "$round" -le "$rounds" ]; do
    say "round $round of $rounds"
    for workload in $workloads; do
        for pair in $modes; do
            mode=${pair%:*}
            is_wanted "$workload" "$mode" || continue
            mode_environment "$mode"
            [ -z "$file" ] || [ -f "$file" ] || continue
            mkdir -p "$scratch/recordings"
            if result=$(measure "$workload" "$mode" 2>"$scratch/error"); then
                printf '%s %s %s %s %s\n' "$workload" "$mode" "${pair#*:}" "$round" "$result"
            else
                say "$workload in mode $mode failed: $(tail -n 1 "$scratch/error")"
            fi
            rm -rf "$scratch/recordings"
        done
    done
    round=$((round + 1))
done >"$scratch/raw.txt"

if command -v valgrind >/dev/null 2>&1; then
    say 'counting instructions'
    mkdir -p "$scratch/recordings"
    for workload in pair deep calloc aligned resize leak; do
        for mode in plain forward sampled exact; do
            mode_environment "$mode"
            # shellcheck disable=SC2086
            count=$(instructions "$scratch" "$workload" 0 $variables) || continue
            printf '%s %s instructions %s\n' "$workload" "$mode" "$count"
        done
    done >>"$scratch/raw.txt"
fi

# The kind of machine, and what was measured, for table.md.
processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
machine="$(nproc) processors, $processor, Linux $(uname -r | cut -d - -f 1), $(getconf GNU_LIBC_VERSION)"
commit=$(git -C "$root" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)

cp "$scratch/raw.txt" "$out/raw.txt"
set -- -v load_before="$load_before" -v rounds="$rounds" -v seconds="$(($(date +%s) - begun))"
awk "$@" -v json="$out/results.json" -f "$here/rows.awk" -f "$here/table.awk" "$out/raw.txt" \
    >"$out/table.txt"
awk "$@" -v machine="$machine" -v commit="$commit" -f "$here/rows.awk" -f "$here/markdown.awk" \
    "$out/raw.txt" >"$out/table.md"
{
    echo
    "$scratch/lines" measure
} >>"$out/table.txt"
cat "$out/table.txt"
say "also in $out: table.txt, table.md, results.json, raw.txt"
