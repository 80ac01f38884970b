#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap memory` of C programs: the parts add up, and each is held to the program's own truth.
. "$OFFHEAP_SRC/tests/integration/lib.sh"
. "$OFFHEAP_SRC/tests/integration/memory_lib.sh"
hold=$OFFHEAP_FIXTURES/hold

note "blocks that are kept"
for sort in leak large advised; do
    start "$hold" "$sort" 64
    look
    within "C live of $sort" "$(number c_live)" "$(truth c_live)" 0 "$(percent 1 "$(truth c_live)")"
    within "retained of $sort" "$(number allocator_retained)" 0 0 1000000
    stop
done

note "sampled, it is an estimate with its error"
recorded=sampled
start "$hold" leak 64
look
error=$(number standard_error)
[ "$error" -gt 0 ] || fail "no error of an estimate"
within "C live, sampled" "$(number c_live)" "$(truth c_live)" $((5 * error)) $((5 * error))
expect_text look.json 'sampled, one per 512 KiB'
stop
recorded=exact

note "maps: to the byte what was touched"
start "$hold" maps 100
look
within "C maps" "$(number map_mmap)" "$(truth map_mmap)" 0 0
stop

note "stacks of threads"
start "$hold" threads 40
look
within "thread stacks" "$(number thread_stacks)" "$(truth thread_stacks)" 0 $((41 * 16384 + 100000))
stop

note "1 GiB malloced and freed in small blocks"
recorded=sampled
start "$hold" retain 1024
look --watch 1s
within "retained" "$(number allocator_retained)" "$(truth allocator_retained)" \
    "$(percent 3 "$(truth allocator_retained)")" "$(percent 10 "$(truth allocator_retained)")"
verdict retained
verdict not_growing
no_verdict growing_c_live
stop
recorded=exact

note "--trim gives it back, and the program goes on"
start "$hold" retain 200 1
look
free_pages=$(number free_pages)
before=$(number rss)
within "whole free pages" "$free_pages" "$(truth allocator_retained)" \
    "$(percent 10 "$(truth allocator_retained)")"
look --trim
expect_text look.json '"trimmed": "malloc_trim'
given=$((before - $(number rss)))
within "given back" "$given" "$free_pages" "$(percent 10 "$free_pages")"
grown=$(number c_live)
tries=0
look
until [ "$(number c_live)" -gt "$grown" ] || [ "$tries" -ge 20 ]; do
    tries=$((tries + 1))
    sleep 0.5
    look
done
[ "$(number c_live)" -gt "$grown" ] || fail "the program stands still after --trim"
stop

note "jemalloc inside of the program is purged likewise"
if [ -x "${hold}_je" ]; then
    start "${hold}_je" retain 100 1
    look
    [ "$(number allocator_retained)" -gt 90000000 ] || fail "jemalloc keeps nothing"
    look --trim
    expect_text look.json '"trimmed": "jemalloc.s purge'
    within "left" "$(number allocator_retained)" 0 0 20000000
    grown=$(number c_live)
    sleep 1
    look
    [ "$(number c_live)" -gt "$grown" ] || fail "the program stands still after --trim"
    stop
fi

note "not recorded"
recorded=no
for sort in leak advised; do
    start "$hold" "$sort" 64
    look
    within "malloc's areas" "$(number allocator_unsplit)" "$(truth c_live)" 0 \
        "$(percent 12 "$(truth c_live)")"
    expect_text look.json 'is not recorded: it was started without'
    stop
done
recorded=exact

note "which part of each stack's is resident"
start "$hold" maps 100
expect_status 0 "$OFFHEAP_BIN" report --resident --kind mmap "$pid"
expect_text out.txt '^ +1 +100 MiB +1 +50\.0 MiB +0 B +50\.0 MiB '
expect_text out.txt '^ +map_memory '
expect_status 2 "$OFFHEAP_BIN" report --resident --diff "$pid" "$pid"
recording=$(recording_of "$pid")
expect_status 0 "$OFFHEAP_BIN" report --resident "$recording"
stop
expect_status 1 "$OFFHEAP_BIN" report --resident "$recording"
expect_text err.txt 'the process is gone'
"$OFFHEAP_BIN" export -o held.pb.gz "$recording" 2>/dev/null
expect_status 1 "$OFFHEAP_BIN" report --resident held.pb.gz
expect_text err.txt 'is a profile, which has no residency'

note "programs that we did not write"
if command -v python3 >/dev/null 2>&1; then
    start python3 -c 'x = [str(i) for i in range(200000)]
print("ready", flush=True)
import time
time.sleep(60)'
    look
    [ "$(number map_mmap)" -gt 5000000 ] || fail "python3's own arenas are not among the C maps"
    stop
fi
if command -v sqlite3 >/dev/null 2>&1; then
    mkfifo sql
    LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 sqlite3 :memory: <sql >program.out 2>program.err &
    pid=$!
    started="$started $pid"
    exec 3>sql
    echo "create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where
        x < 100000) insert into t select x, hex(randomblob(50)) from c; select 'ready';" >&3
    wait_for_text program.out '^ready$' 30
    look
    [ "$(number c_live)" -gt 10000000 ] || fail "sqlite3 holds its table elsewhere than in C live"
    exec 3>&-
    wait "$pid" || fail "sqlite3 failed"
fi
if command -v redis-server >/dev/null 2>&1; then
    LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 redis-server --port 0 --unixsocket "$PWD/redis.sock" \
        --save '' >program.out 2>program.err &
    pid=$!
    started="$started $pid"
    wait_for_text program.out 'ready to accept' 30
    if command -v redis-cli >/dev/null 2>&1; then
        awk 'BEGIN { for (i = 0; i < 200000; i++) printf "SET key:%d %0100d\r\n", i, i }' |
            redis-cli -s redis.sock --pipe >/dev/null
        look
        [ "$(number c_live)" -gt 30000000 ] || fail "redis holds its keys elsewhere than in C live"
        used=$(redis-cli -s redis.sock info memory | tr -d '\r' | sed -n 's/^used_memory://p')
        within "redis's own count" "$(number c_live)" "$used" "$(percent 15 "$used")"
    fi
    stop
fi

finish
