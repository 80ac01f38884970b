#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap memory` of what cannot be looked at, or only in part: a clear message, and what can be shown.
. "$OFFHEAP_SRC/tests/integration/lib.sh"
. "$OFFHEAP_SRC/tests/integration/memory_lib.sh"
hold=$OFFHEAP_FIXTURES/hold

note "wrong use"
expect_status 2 "$OFFHEAP_BIN" memory
expect_text err.txt 'which PID or RECORDING'
expect_status 2 "$OFFHEAP_BIN" memory 1 2
expect_status 2 "$OFFHEAP_BIN" memory --watch soon 1
expect_text err.txt 'it must be a time'
expect_status 2 "$OFFHEAP_BIN" memory --watch 0s 1

note "no such process, no such file"
expect_status 1 "$OFFHEAP_BIN" memory 999999999
expect_text err.txt 'there is no process 999999999'
expect_status 1 "$OFFHEAP_BIN" memory ./nothing.offheap
expect_text err.txt 'nothing\.offheap'
expect_status 1 "$OFFHEAP_BIN" memory "$OFFHEAP_SRC/README.md"
expect_text err.txt 'not a recording|is no recording'

note "a kernel thread, a zombie"
if [ "$(cat /proc/2/comm 2>/dev/null)" = kthreadd ]; then
    expect_status 1 "$OFFHEAP_BIN" memory 2
    expect_text err.txt 'no memory of its own'
fi

note "a process that ends meanwhile"
start "$hold" leak 8
{ sleep 2; kill -KILL "$pid"; } & # Late enough for one look on a busy machine.
expect_status 1 "$OFFHEAP_BIN" memory --watch 8s "$pid"
expect_text err.txt "process $pid has ended"
expect_text out.txt 'RSS \(smaps_rollup\)' "the looks until then are not shown"
wait "$pid" 2>/dev/null

note "a recording without its process"
recording=$(recording_of "$pid")
for what in "$recording" "$pid"; do
    expect_status 0 "$OFFHEAP_BIN" memory "$what"
    expect_text out.txt "^Memory of hold, pid $pid \(gone, killed\)"
    expect_text out.txt '^ +8\.0[0-9] MiB +malloc, in [0-9,]+ objects'
    expect_text out.txt 'offheap report '
done
expect_status 0 "$OFFHEAP_BIN" memory --json "$recording"
expect_text out.txt '"title": "Memory of hold'

note "a recording of a live process"
start "$hold" leak 8
expect_status 0 "$OFFHEAP_BIN" memory "$(recording_of "$pid")"
expect_text out.txt 'RSS \(smaps_rollup\)'

note "another user's process"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
    chmod 755 . && cp "$OFFHEAP_BIN" ./offheap
    if setpriv --reuid 65534 --regid 65534 --clear-groups ./offheap version >/dev/null 2>&1; then
        expect_status 1 setpriv --reuid 65534 --regid 65534 --clear-groups ./offheap memory "$pid"
        expect_text err.txt "process $pid: its memory map .* may not be read"
        expect_text err.txt 'try: '
        expect_text out.txt '^Memory of hold, pid .* \(may not be looked into\)'
        expect_text out.txt '^ +[0-9.]+ MiB  resident \(VmRSS\)' "what anybody may read is not shown"
        expect_text out.txt "the process's OOM score"
        expect_text out.txt '^Control group' "the control group is not shown"
        expect_status 1 setpriv --reuid 65534 --regid 65534 --clear-groups ./offheap memory --trim "$pid"
        expect_status 1 setpriv --reuid 65534 --regid 65534 --clear-groups ./offheap memory --json "$pid"
        expect_text out.txt '"status": \{"resident": [1-9][0-9]*,'
        expect_text out.txt '"error": "process .*may not be read'
    fi
fi

note "--go that nobody answers"
expect_status 0 "$OFFHEAP_BIN" memory --go http://127.0.0.1:1 "$pid"
expect_text out.txt 'note +--go: cannot connect'
expect_status 0 "$OFFHEAP_BIN" memory --go localhost "$pid"
expect_text out.txt 'note +--go: localhost is not a URL'
stop

note "a limit of version 1, and an OOM kill"
group=/sys/fs/cgroup/memory/offheap_test.$$
if [ "$(id -u)" -eq 0 ] && mkdir "$group" 2>/dev/null; then
    if echo 67108864 >"$group/memory.limit_in_bytes" 2>/dev/null; then
        # shellcheck disable=SC2016
        sh -c 'echo $$ >"$1/cgroup.procs" && exec sleep 60' sh "$group" &
        pid=$!
        started="$started $pid"
        sleep 0.2
        rm -f program.out # An earlier program was ready, too.
        # shellcheck disable=SC2016
        LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 sh -c 'echo $$ >"$1/cgroup.procs" && exec "$2" leak 10 10' \
            sh "$group" "$hold" >program.out 2>program.err &
        killed=$!
        wait_for_text program.out '^ready$' 20
        expect_status 0 "$OFFHEAP_BIN" memory "$killed"
        expect_text out.txt "^Control group .*offheap_test\.$$ \(v1"
        expect_text out.txt '^ +64\.0 MiB  limit \(memory\.limit_in_bytes\)'
        wait "$killed"
        [ $? -eq 137 ] || fail "the group's limit killed nothing"
        expect_status 0 "$OFFHEAP_BIN" memory "$pid"
        expect_text out.txt 'oom_kill [1-9]'
        expect_status 0 "$OFFHEAP_BIN" memory "$(find "$OFFHEAP_DIR" -name "hold.$killed.*")"
        expect_text out.txt 'gone, killed'
        stop
    fi
    sleep 0.2
    rmdir "$group"
fi

finish
