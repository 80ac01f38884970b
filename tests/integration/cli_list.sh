#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap list` says of each process whether it is recorded and if not, why.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

cat >program.c <<'EOF'
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
    void *volatile block = malloc(1000);
    (void)block;
    return (int)write(1, "ready\n", 6) - 6 + (int)sleep(60);
}
EOF
cc -o recorded program.c || { fail "cc"; finish; }
cc -static -o static program.c || { fail "cc -static"; finish; }
for copy in disabled homeless loner; do
    cp recorded "$copy"
done
pids=
# start NAME [VARIABLE=VALUE...]: the program of that name with the library in its environment.
start()
{
    start_name=$1
    shift
    env LD_PRELOAD="$OFFHEAP_LIB" "$@" "./$start_name" >"$start_name.txt" 2>&1 </dev/null &
    pids="$pids $!"
    wait_for_text "$start_name.txt" '^ready$' 10
}
stop_all()
{
    for pid in $pids; do
        kill -KILL "$pid" 2>/dev/null
    done
}
trap stop_all EXIT

start recorded OFFHEAP_EXACT=1
start disabled OFFHEAP_DISABLE=1
start static
start homeless OFFHEAP_DIR=/nonexistent
./loner >loner.txt &
pids="$pids $!"

expect_status 0 "$OFFHEAP_BIN" list
expect_text out.txt ' recorded +exact .* recording$'
expect_text out.txt ' disabled .* not recorded: disabled: OFFHEAP_DISABLE is set$'
expect_text out.txt ' static .* not recorded: static: nothing can be interposed$'
expect_text out.txt ' homeless .* not recorded: no room: .*No such file or directory'
expect_no_text out.txt ' loner '

note "a forked child, also one that has its parent's pid in a namespace of its own"
cat >nested.c <<'EOF'
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
static void tell(const char *who)
{
    char pid[32] = "";
    (void)!readlink("/proc/self", pid, sizeof pid - 1); // As this /proc counts: from outside.
    printf("%s %s\n", who, pid);
    fflush(stdout);
}
int main(void)
{
    tell("parent");
    if (unshare(CLONE_NEWPID) != 0)
        return 1;
    if (fork() == 0)
        tell("child");
    return (int)sleep(60);
}
EOF
cc -o nested nested.c || { fail "cc"; finish; }
if unshare -pf true 2>/dev/null; then
    unshare -pf --kill-child env LD_PRELOAD="$OFFHEAP_LIB" ./nested >nested.txt &
    pids="$pids $!"
    wait_for_text nested.txt '^child' 10
    parent=$(sed -n 's/^parent //p' nested.txt)
    child=$(sed -n 's/^child //p' nested.txt)
    expect_status 1 "$OFFHEAP_BIN" report "$child"
    expect_text err.txt "process $child is a forked child of the recorded process $parent;"
    expect_status 0 "$OFFHEAP_BIN" list
    expect_text out.txt "^ *$parent  nested .* recording\$"
    expect_text out.txt "^ *$child  nested .* not recorded: a forked child of process $parent\$"
    expect_status 0 "$OFFHEAP_BIN" memory "$child"
    expect_text out.txt "^  note  *process $child is a forked child .* cannot be told apart\$"
    expect_status 0 "$OFFHEAP_BIN" list
else
    printf 'no pid namespaces here: left out\n'
fi

note "a live process's profile is of now"
recorded=$(sed -n 's/^ *\([0-9]*\) *recorded .*/\1/p' out.txt)
sleep 1.1
now=$(date -u '+%Y-%m-%d %H:%M:%S')
expect_status 0 "$OFFHEAP_BIN" report "$recorded"
as_of=$(sed -n 's/^  as of  *\(.*\) UTC$/\1/p' out.txt)
printf '%s\n%s\n' "$now" "$as_of" | sort -c || fail "as of $as_of, asked at $now"

note "what is left behind"
kill -KILL "$recorded"
wait "$recorded" 2>/dev/null
expect_status 0 "$OFFHEAP_BIN" list
expect_text out.txt "^ *$recorded +recorded +exact .*/recorded\.$recorded\.[0-9]+\.offheap \(killed\)\$"
expect_status 0 "$OFFHEAP_BIN" export -o left.pb.gz "$recorded"
expect_file left.pb.gz
touch -d '2024-01-02 03:04:05 UTC' "$(recording_of "$recorded")"
expect_status 0 "$OFFHEAP_BIN" report "$recorded"
expect_text out.txt '^  as of +2024-01-02 03:04:05 UTC$' "a killed process's profile is of its file's time"

note "a process that holds more than its bound"
"$OFFHEAP_BIN" run --exact --keep --max-bytes 2M -o full.pb.gz -- "$OFFHEAP_FIXTURES/bigload" >/dev/null \
    2>err.txt </dev/null
"$OFFHEAP_BIN" report full.pb.gz >report.txt
expect_text report.txt 'allocations not recorded: the table of .* is full'
expect_no_text report.txt 'exact: every allocation was recorded' "a claim above the loss"
expect_status 0 "$OFFHEAP_BIN" report "$(find "$OFFHEAP_DIR" -name 'bigload.*.offheap')"
told=$(grep -c 'allocations not recorded: the table of .* is full' out.txt)
[ "$told" -eq 1 ] || fail "the loss is told $told times"

note "nothing"
mkdir nothing
stop_all
expect_status 0 env OFFHEAP_DIR="$PWD/nothing" "$OFFHEAP_BIN" list

finish
