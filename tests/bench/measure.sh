# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# The modes of run.sh, and one measurement of one workload in one of them. Takes from run.sh:
# scratch, where the programs are; library; scale, by which the operations are multiplied; pin; cc1
# and python.

library_dir=/usr/lib/x86_64-linux-gnu

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
    jq)
        command_time jq -c '[.[] | select(.score > 40) | {id, tags: (.tags | join("+"))}]
            | group_by(.id % 7) | map(length)' "$scratch/input.json"
        ;;
    xmllint) command_time xmllint --noout --xpath 'count(//item[price > 500])' "$scratch/input.xml" ;;
    redis) redis_time ;;
    esac
}
