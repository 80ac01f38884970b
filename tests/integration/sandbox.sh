#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A program that confines itself lives on under the library, which is ended by nothing that the
# program does not do itself, and its recording stays right; a child that confines itself changes
# nothing for its parent.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

program=$OFFHEAP_FIXTURES/sandbox

# check_kept OUTPUT PROFILE: what the program says that it keeps is what the profile says.
check_kept()
{
    kept=$(awk '$1 == "kept" { print $2 }' "$1")
    got=$(pprof -symbolize=none -unit=B -sample_index=inuse_space -top -focus='^keep_leaf$' "$2" |
        awk '$NF == "main" { print $4 + 0 }')
    [ "${kept:-none}" = "$got" ] || fail "$2: $got bytes kept, want $kept"
}

# Filters cannot be had everywhere.
"$program" prctl 0 >out.txt 2>&1 || skip "no filter of system calls can be put up here"

for mode in prctl seccomp; do
    note "$mode"
    run_fixture "$mode" 0 "$program" "$mode" 3
    expect_text "$mode.out" '^alive$'
    check_kept "$mode.out" "$mode.pb.gz"
    "$OFFHEAP_BIN" report "$mode.pb.gz" >"$mode.txt" 2>&1
    expect_text "$mode.txt" 'sandbox: the process confined itself'
    expect_text "$mode.txt" 'calls of the mmap family not recorded' "segments of unknown length"
    rm -f recordings/*
done

# Looked at from outside, it may have mapped what is not recorded.
note "memory"
LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$program" prctl 6 >confined.out &
confined=$!
looks=0
until [ "$looks" -eq 30 ] || grep -q 'mapped in a sandbox' memory.txt 2>/dev/null; do
    looks=$((looks + 1))
    "$OFFHEAP_BIN" memory "$confined" >memory.txt 2>&1 || sleep 0.1
done
expect_text memory.txt 'note  *the process confined itself \(prctl\)'
expect_text memory.txt 'unclaimed  *raw system calls, or mapped in a sandbox'
wait "$confined" || fail "looked at: status $?"
rm -f recordings/*

# The library alone would have to open a file: it leaves the recording, which says so.
note "the library alone"
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/alone.pb.gz" \
    "$program" prctl 4
expect_text out.txt '^alive$'
cp out.txt alone.out
[ ! -e alone.pb.gz ] || fail "a profile was written in a sandbox"
set -- recordings/sandbox.*.offheap
expect_status 0 "$OFFHEAP_BIN" report "$1"
expect_text out.txt 'OFFHEAP_PROFILE: not written: the process has confined itself'
expect_no_text out.txt 'still running|killed'
expect_status 0 "$OFFHEAP_BIN" export -o alone.pb.gz "$1"
check_kept alone.out alone.pb.gz
# The time line goes on, without what the system would have to be asked for.
expect_status 0 "$OFFHEAP_BIN" memory --json "$1"
expect_text out.txt '"second": 2\..*"malloc": [0-9]+'
expect_no_text out.txt '"rss"' "the system was asked"
rm -f recordings/*

# What passes when the process begins passes later: all is asked as of any other.
note "a filter from the start"
LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$program" service 4 >service.out 2>service.err ||
    fail "a service: status $?"
expect_text service.out '^alive$'
set -- recordings/*.offheap
for file; do
    "$OFFHEAP_BIN" export -o service.pb.gz "$file" >/dev/null 2>&1
    "$OFFHEAP_BIN" memory --json "$file" >service.json 2>&1
    grep -q '"second": 2' service.json && break
done
expect_text service.json '"second": 2\..*"rss": [0-9]+'
expect_no_text service.json 'confined itself'
check_kept service.out service.pb.gz
rm -f recordings/*

note "strict"
LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$program" strict >strict.out 2>strict.err ||
    fail "strict: status $?"
expect_text strict.out '^alive$'
set -- recordings/sandbox.*.offheap
expect_status 0 "$OFFHEAP_BIN" report "$1"
expect_text out.txt 'no longer recorded: the process confined itself'
rm -f recordings/*

for mode in child vfork; do
    note "$mode"
    run_fixture "$mode" 0 "$program" "$mode" 1
    expect_text "$mode.out" '^alive$'
    check_kept "$mode.out" "$mode.pb.gz"
    "$OFFHEAP_BIN" report "$mode.pb.gz" >"$mode.txt" 2>&1
    expect_no_text "$mode.txt" 'sandbox:' "a child confined its parent"
    rm -f recordings/*
done

note "to ask whether there are filters confines nothing"
cat >probe.c <<'END'
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
int main(void)
{
    int failed = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0);
    for (int i = 0; i < 100000; i++)
        *(char *volatile)malloc(10) = 1;
    return failed == -1 ? 0 : 1;
}
END
cc -o probe probe.c || fail "no program"
run_fixture probe 0 ./probe
expect_status 0 "$OFFHEAP_BIN" report probe.pb.gz
expect_text out.txt '^ +1 +977 KiB +100,000 '
expect_no_text out.txt 'sandbox:'

finish
