#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/export.sh [full]
#
# What `offheap export` costs, and what a program feels of it. The first table has, for each
# recording, the size of its file, and of one export the processor time (median, least and greatest
# of the rounds), the wall time and the peak of the resident memory:
#   cc        10,000 stacks of a C++ program of 2,000 functions (-O2 -g): symbols, lines, inlined calls
#   cgo       10,000 stacks of a cgo program of 4,000 Go functions, with its DWARF; cgo-sw: -s -w
#   libs      10,000 stacks spread over 50 shared libraries
#   blocks    3 million live blocks
# For cc and cgo also of a process that lives and is not stopped for it, and for cc heaptrack's two
# steps for the same program, where they are installed. When full also big-cc, which is cc of 5,000
# functions, and big-go, big-go-sw: Go programs of 200,000 functions (100 MB with DWARF; minutes to
# build). The second table is tests/bench/stall.sh's for two threads that allocate: alone, while
# they are exported all the time, and while another recording is exported all the time, which takes
# the same processor time from them. Nothing here passes or fails.
#
# Without `full` about two minutes, most of them for compiling; what was built is kept in
# build/bench/export. From the environment:
#   BENCH_LIBRARY, BENCH_OFFHEAP   measures these (build/release/liboffheap.so, offheap)
#   BENCH_ROUNDS                   rounds (7)
#   BENCH_PREFIX                   runs each export below this, as `chrt -f 10 taskset -c 1`
#   BENCH_WORKLOADS                only these, by the names of the table; host is the second one
#   BENCH_SECONDS                  of one row of the second table (5)

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
library=${BENCH_LIBRARY-$root/build/release/liboffheap.so}
command=${BENCH_OFFHEAP-$root/build/release/offheap}
rounds=${BENCH_ROUNDS-7}
seconds=${BENCH_SECONDS-5}
case ${1-} in
full) workloads='cc cgo cgo-sw libs blocks big-cc big-go big-go-sw host' ;;
'') workloads='cc cgo cgo-sw libs blocks host' ;;
*)
    echo 'usage: sh tests/bench/export.sh [full]' >&2
    exit 2
    ;;
esac
workloads=${BENCH_WORKLOADS-$workloads}
built=$root/build/bench/export
scratch=$(mktemp -d)
exporter=
live=
host=
mkdir -p "$built"
finish()
{
    for process in $live $host; do
        kill "$process" 2>/dev/null || true
    done
    stop_exports
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM

# --- programs ----------------------------------------------------------------------------------

build_cc()
{
    [ -x "$built/$1/big" ] || { sh "$here/make_big_cc.sh" "$built/$1" "$2" 250 &&
        make -s -C "$built/$1" -j"$(nproc)"; }
}

# build_go NAME PACKAGES FUNCTIONS: both builds of it, big and big-sw.
build_go()
{
    command -v go >/dev/null 2>&1 || return 1
    [ -x "$built/$1/big-sw" ] && return 0
    sh "$here/make_big_go.sh" "$built/$1" "$2" "$3"
    (cd "$built/$1" && export GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=1 &&
        go build -o big . && go build -ldflags '-s -w' -o big-sw .)
}

build_libs()
{
    [ -x "$built/libs/many" ] || { sh "$here/make_libs.sh" "$built/libs" &&
        make -s -C "$built/libs" -j"$(nproc)"; }
}

# Records one run of the program $2... under the name $1, every allocation.
record()
{
    recorded=$1
    shift
    mkdir "$scratch/dir"
    OFFHEAP_EXACT=1 OFFHEAP_DIR=$scratch/dir LD_PRELOAD=$library "$@" >/dev/null
    mv "$scratch/dir"/*.offheap "$scratch/$recorded.offheap"
    rmdir "$scratch/dir"
}

prepare()
{
    case $1 in
    cc) build_cc cc 8 && record cc "$built/cc/big" 10000 12 ;;
    big-cc) build_cc big-cc 20 && record big-cc "$built/big-cc/big" 10000 12 ;;
    cgo) build_go cgo 20 200 && record cgo "$built/cgo/big" 10000 12 ;;
    cgo-sw) build_go cgo 20 200 && record cgo-sw "$built/cgo/big-sw" 10000 12 ;;
    big-go) build_go big-go 200 1000 && record big-go "$built/big-go/big" 10000 12 ;;
    big-go-sw) build_go big-go 200 1000 && record big-go-sw "$built/big-go/big-sw" 10000 12 ;;
    libs) build_libs && record libs "$built/libs/many" 10000 12 ;;
    blocks) record blocks "$scratch/work" leak 2970000 ;;
    *) return 1 ;;
    esac
}

# --- exports -----------------------------------------------------------------------------------

mebibytes()
{
    wc -c <"$1" | awk '{ printf "%.1f", $1 / 1048576 }'
}

# measure NAME SIZE COMMAND...: a row; the command reads $from and its result is $made.
measure()
{
    row=$1
    size=$2
    shift 2
    : >"$scratch/times"
    round=0
    while [ "$round" -le "$rounds" ]; do # The first brings the files into memory and does not count.
        # shellcheck disable=SC2086
        "$scratch/clock" ${BENCH_PREFIX-} "$@" <"$from" >"$scratch/time" 2>"$scratch/messages"
        [ "$round" -eq 0 ] || cat "$scratch/time" >>"$scratch/times"
        round=$((round + 1))
    done
    sort -n "$scratch/times" | awk -v name="$row" -v size="$size" '
        { cpu[NR] = $1 / 1e6; memory[NR] = $2 / 1024; wall[NR] = $3 / 1e6 }
        END {
            middle = int((NR + 1) / 2)
            printf "%-14s %9s %8.0f (%.0f-%.0f) %8.0f %8.0f\n", name, size, cpu[middle], cpu[1],
                cpu[NR], wall[middle], memory[middle]
        }'
}

export_row()
{
    from=/dev/null
    measure "$1" "$(mebibytes "$scratch/$1.offheap")" "$command" export -o "$scratch/p.pb.gz" \
        "$scratch/$1.offheap"
}

# The program $2 lives while it is exported, under the name $1.
live_row()
{
    mkdir "$scratch/dir"
    rm -f "$scratch/started"
    OFFHEAP_EXACT=1 OFFHEAP_DIR=$scratch/dir LD_PRELOAD=$library "$2" 10000 12 1000 \
        >"$scratch/started" &
    live=$!
    while [ ! -s "$scratch/started" ]; do
        sleep 0.1
    done
    from=/dev/null
    measure "$1-live" '' "$command" export -o "$scratch/p.pb.gz" "$live"
    kill "$live"
    wait "$live" 2>/dev/null || true
    live=
    rm -rf "$scratch/dir"
}

heaptrack_rows()
{
    heaptrack=/usr/lib/heaptrack
    interpret=$heaptrack/libexec/heaptrack_interpret
    [ -x "$interpret" ] && command -v heaptrack_print >/dev/null 2>&1 || return 0
    LD_PRELOAD=$heaptrack/libheaptrack_preload.so DUMP_HEAPTRACK_OUTPUT=$scratch/raw \
        "$built/cc/big" 10000 12 >/dev/null
    from=$scratch/raw
    measure heaptrack-1 "$(mebibytes "$scratch/raw")" "$interpret"
    "$interpret" <"$scratch/raw" >"$scratch/interpreted" 2>/dev/null
    from=/dev/null
    measure heaptrack-2 "$(mebibytes "$scratch/interpreted")" heaptrack_print -f \
        "$scratch/interpreted"
}

# --- the host ----------------------------------------------------------------------------------

# Exports $1 (a process or a recording) again and again; what was exported is counted.
start_exports()
{
    (
        count=0
        while [ ! -e "$scratch/stop" ]; do
            "$command" export -o "$scratch/q.pb.gz" "$1" >/dev/null 2>&1 || break
            count=$((count + 1))
            echo "$count" >"$scratch/count"
        done
    ) &
    exporter=$!
}

stop_exports()
{
    if [ -n "$exporter" ]; then
        touch "$scratch/stop"
        wait "$exporter" || true
        rm -f "$scratch/stop"
        exporter=
    fi
}

host_row()
{
    mkdir "$scratch/dir"
    echo 0 >"$scratch/count"
    # shellcheck disable=SC2086
    env OFFHEAP_DIR="$scratch/dir" LD_PRELOAD="$library" $3 "$scratch/stall" 2 "$seconds" \
        >"$scratch/stall.out" &
    host=$!
    sleep 0.5
    case $2 in
    it) start_exports "$host" ;;
    other) start_exports "$scratch/other.offheap" ;;
    esac
    wait "$host"
    host=
    stop_exports
    cp "$scratch/dir"/*.offheap "$scratch/other.offheap"
    rm -rf "$scratch/dir"
    # shellcheck disable=SC2046,SC2183
    printf '%-8s %-7s %7s %11s %8s %7s %6s %5s %5s %9s %6s %9s %9s\n' "$1" "$2" \
        "$(cat "$scratch/count")" $(cat "$scratch/stall.out")
}

host_table()
{
    printf '\n%-8s %-7s %7s %11s %8s %7s %6s %5s %5s %9s %6s %9s %9s\n' mode exports number calls \
        '>10us' '>100us' '>1ms' '>10ms' '.1s' 'worst us' waits 'worst us' 'sum ms'
    for mode in sampled exact; do
        case $mode in
        sampled) variable=BENCH=1 ;;
        exact) variable=OFFHEAP_EXACT=1 ;;
        esac
        for load in none it other; do
            host_row "$mode" "$load" "$variable"
        done
    done
}

for program in clock work stall; do
    cc -O2 -g -std=gnu11 -D_GNU_SOURCE -fno-builtin-malloc -o "$scratch/$program" \
        "$here/$program.c" -pthread -lm
done
printf '%-14s %9s %17s %8s %8s\n' recording MiB 'cpu ms' 'wall ms' 'peak MiB'
for workload in $workloads; do
    if [ "$workload" = host ]; then
        host_table
    elif prepare "$workload" >"$scratch/build.log" 2>&1; then
        export_row "$workload"
        case $workload in
        cc)
            live_row cc "$built/cc/big"
            heaptrack_rows
            ;;
        cgo) live_row cgo "$built/cgo/big" ;;
        esac
    else
        echo "$workload: left out: $(tail -n 1 "$scratch/build.log")" >&2
    fi
done
