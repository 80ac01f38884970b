#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/run.sh [quick]
#
# What the library costs, beside other tools. Every round runs each workload once in every mode, one
# mode after the other; a ratio is that of two neighbours of one round, and the table has its median
# over the rounds with the least and the greatest. Nothing here passes or fails.
#
# +live: with 10,000 live samples in the filter. Then come figures that follow from the rows: the cost
# of one sample, the memory of a live block, and the cost of a cache line that two processors write
# (lines.c). Stalls and export have scripts of their own: stall.sh, export.sh.
#
# Installs the peers when it may (apt, as root) and leaves out those that are not there. Leaves
# table.txt, table.md, results.json and the single measurements (raw.txt) in build/bench.
# From the environment:
#   BENCH_LIBRARY    measures this liboffheap.so instead of building build/release
#   BENCH_ROUNDS     rounds (5 when quick, else 9)
#   BENCH_WORKLOADS  only these, by the names of the table

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
. "$here/common.sh"
out=$root/build/bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
library_dir=/usr/lib/x86_64-linux-gnu

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
    packages='valgrind heaptrack libjemalloc2 google-perftools sqlite3 redis-server redis-tools python3'
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

# The modes, each with the mode that it is compared with.
modes='plain:plain forward:plain sampled:plain each:plain exact:plain heaptrack:plain
    jemalloc:plain jemalloc-prof:jemalloc tcmalloc:plain tcmalloc-prof:tcmalloc'

# Sets `variables` to the environment of the mode $1 and `file` to the library that it preloads.
mode_environment()
{
    variables='BENCH=1'
    case $1 in
    plain) file= ;;
    forward) file=$scratch/forward.so ;;
    sampled | each | exact) file=$library variables="OFFHEAP_DIR=$scratch/recordings" ;;
    heaptrack)
        file=/usr/lib/heaptrack/libheaptrack_preload.so
        variables="DUMP_HEAPTRACK_OUTPUT=$scratch/recordings/heaptrack"
        ;;
    jemalloc*) file=$library_dir/libjemalloc.so.2 ;;
    tcmalloc*) file=$library_dir/libtcmalloc.so.4 ;;
    esac
    case $1 in
    each) variables="$variables OFFHEAP_SAMPLE_BYTES=1" ;;
    exact) variables="$variables OFFHEAP_EXACT=1" ;;
    jemalloc-prof) variables='MALLOC_CONF=prof:true,lg_prof_sample:19' ;;
    tcmalloc-prof) variables='TCMALLOC_SAMPLE_PARAMETER=524288' ;;
    esac
    if [ -n "$file" ]; then
        variables="$variables LD_PRELOAD=$file"
    fi
}

# Whether workload $1 says something in mode $2.
is_wanted()
{
    case $1:$2 in
    pair:each | deep:each | cgo:each | cgo1:each) return 0 ;;
    *:each) return 1 ;;
    *+live:heaptrack | *+live:tcmalloc*) return 1 ;; # No filter there; and 60 GB of address space.
    keep*:plain | keep*:sampled | keep*:exact | keep*:heaptrack) return 0 ;;
    keep*) return 1 ;;
    mmap:*malloc* | mmap:heaptrack) return 1 ;; # They do not look at it.
    redis:*malloc*) return 1 ;;                 # It has jemalloc of its own.
    esac
}

# --- one measurement: prints nanoseconds and KiB -----------------------------------------------

# The small workload $1 in mode $2: $3 operations where the tool does little, $4 where it does much,
# with $5 live blocks, pinned when $6 says so.
small()
{
    ops=$3
    case $2 in
    each | exact | heaptrack) ops=$4 ;;
    esac
    where=
    if [ "$6" = pinned ]; then
        where=$pin
    fi
    # shellcheck disable=SC2086
    $where env $variables "$scratch/work" "$1" $((ops * scale)) "$5"
}

# A command: processor time of it all.
command_time()
{
    options=
    for variable in $variables; do
        options="$options -e $variable"
    done
    # shellcheck disable=SC2086
    "$scratch/clock" $options "$@" </dev/null 2>/dev/null
}

# The server's processor time under the same load, three kinds of command.
redis_time()
{
    socket=$scratch/redis.sock
    command_time redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
        --dir "$scratch" >"$scratch/redis.time" &
    server=$!
    while ! redis-cli -s "$socket" ping >/dev/null 2>&1; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.05
    done
    redis-benchmark -s "$socket" -q -P 8 -d 100 -r 20000 -n $((40000 * scale)) -t set,get,lpush,sadd \
        >/dev/null 2>&1 </dev/null
    redis-cli -s "$socket" shutdown nosave >/dev/null 2>&1 || true
    wait "$server"
    cat "$scratch/redis.time"
}

# The Go program in mode $1, $2 operations where the tool does much, $3 where it does little, $4
# pairs in one call of C.
cgo_time()
{
    ops=$3
    case $1 in
    each | exact | heaptrack) ops=$2 ;;
    esac
    # shellcheck disable=SC2086
    env $variables "$scratch/cgo" $((ops * scale)) "$4"
}

measure()
{
    workload=$1
    mode_environment "$2"
    live=0
    case $workload in
    *+live) live=10000 ;;
    esac
    case ${workload%+live} in
    pair | calloc | resize | realloc) small "${workload%+live}" "$2" 3000000 200000 $live pinned ;;
    deep | large | aligned) small "${workload%+live}" "$2" 1500000 100000 $live pinned ;;
    heap) small heap "$2" 800000 300000 $live pinned ;;
    random1) small random1 "$2" 300000 200000 $live pinned ;;
    leak) small leak "$2" 200000 200000 $live pinned ;;
    mmap) small mmap "$2" 10000 10000 0 pinned ;;
    threads) small threads "$2" 2000 2000 0 pinned ;;
    random2) small random2 "$2" 100000 100000 $live free ;;
    pair2) small pair2 "$2" 3000000 200000 $live free ;;
    deep2) small deep2 "$2" 1500000 100000 $live free ;;
    cross) small cross "$2" 800000 100000 $live free ;;
    keep*)
        # shellcheck disable=SC2086
        $pin env $variables "$scratch/work" leak "${workload#keep}"
        ;;
    cgo) cgo_time "$2" 100000 1000000 10 ;;
    cgo1) cgo_time "$2" 100000 300000 1 ;;
    start) command_time -n 20 /bin/true ;;
    sqlite) command_time sqlite3 -init /dev/null :memory: ".read $scratch/script.sql" ;;
    cc1) command_time "$cc1" -quiet -O1 "$scratch/large.i" -o /dev/null ;;
    python) command_time -e PYTHONMALLOC=malloc "$python" -S "$scratch/script.py" ;;
    redis) redis_time ;;
    esac
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

cp "$scratch/raw.txt" "$out/raw.txt"
awk -v json="$out/results.json" -v markdown="$out/table.md" -v rounds="$rounds" \
    -v load_before="$load_before" -v seconds="$(($(date +%s) - begun))" -f "$here/table.awk" "$out/raw.txt" >"$out/table.txt"
{
    echo
    "$scratch/lines" measure
} >>"$out/table.txt"
cat "$out/table.txt"
say "also in $out: table.txt, table.md, results.json, raw.txt"
