#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# --exact on C and C++ programs: every path to the byte, through every function of the malloc family,
# constructors, threads, new and delete, and stacks that nobody can unwind.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

check()
{
    check_name=$1
    shift
    note "$check_name"
    run_fixture "$check_name" 0 "$@"
    check_truth "$check_name.out" "$check_name.pb.gz"
}

check leak "$OFFHEAP_FIXTURES/leak"
check ctor "$OFFHEAP_FIXTURES/ctor"
check threads "$OFFHEAP_FIXTURES/threads"
check smash "$OFFHEAP_FIXTURES/smash"
check sampled "$OFFHEAP_FIXTURES/sampled"
[ ! -x "$OFFHEAP_FIXTURES/opnew" ] || check opnew "$OFFHEAP_FIXTURES/opnew"
if [ -x "$OFFHEAP_FIXTURES/cxx" ]; then
    check cxx "$OFFHEAP_FIXTURES/cxx" "$OFFHEAP_FIXTURES/libthrow.so"
    expect_text cxx.out '^caught 20 of 20$'
fi

# The caller sees the same malloc family with the library as without.
note "exact semantics"
expect_status 0 "$OFFHEAP_FIXTURES/exact"
cp out.txt without.txt
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/exact"
cmp -s out.txt without.txt || { fail "exact differs under the library"; cat out.txt; }
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$OFFHEAP_FIXTURES/exact"
cmp -s out.txt without.txt || { fail "exact differs under the library, exact"; cat out.txt; }
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_SAMPLE_BYTES=64 "$OFFHEAP_FIXTURES/exact"
cmp -s out.txt without.txt || { fail "exact differs under the library, 64 bytes"; cat out.txt; }

finish
