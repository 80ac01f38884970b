#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The library alone, with OFFHEAP_PROFILE, at the ends of a C program: a profile when it exits, a whole
# recording however it dies.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# alone WAY STATUS: leak under the library.
alone()
{
    note "$1"
    rm -rf recordings alone.pb.gz
    mkdir recordings
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/alone.pb.gz" \
        "$OFFHEAP_FIXTURES/leak" "$1" >alone.out 2>alone.err
    got=$?
    [ "$got" -eq "$2" ] || fail "$1: status $got, want $2"
    expect_no_text alone.err 'offheap' "the library speaks into its host"
    set -- recordings/leak.*.offheap
    expect_status 0 "$OFFHEAP_BIN" export -o exported.pb.gz "$1"
    check_truth alone.out exported.pb.gz
}

for way in return:0 exit:3 quick:4; do
    alone "${way%:*}" "${way#*:}"
    check_truth alone.out alone.pb.gz -v nodwarf=1
done
for way in abort:134 segv:139 kill:137 term:143; do
    alone "${way%:*}" "${way#*:}"
done

# A library that is unloaded, and constructors: in the library's own profile, too.
note "constructors"
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/ctor.pb.gz" \
    "$OFFHEAP_FIXTURES/ctor"
cp out.txt ctor.out
check_truth ctor.out ctor.pb.gz
note "threads that are still running at exit"
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/kill.pb.gz" \
    "$OFFHEAP_FIXTURES/kill" exit book 4
raw kill.pb.gz >kill.raw
expect_text kill.raw ' kill_leaf '

finish
