#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Go program with its own jemalloc inside, under names with a prefix: to the byte with --exact, with
# jemalloc's background threads too, and by the library alone.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

for form in jemalloc jemalloc-pie; do
    go_fixture "$form"
    note "$form"
    run_fixture "$form" 0 "$fixture"
    expect_text "$form.err" "has jemalloc in it \(je_malloc\)"
    expect_no_text "$form.err" warning
    check_truth "$form.out" "$form.pb.gz"
    raw "$form.pb.gz" >"$form.raw"
    expect_no_text "$form.raw" 'kind:\[(mmap|reserve)\]' "jemalloc's maps are in the profile"

    note "$form, background threads, many times"
    MALLOC_CONF=background_thread:true FIXTURE_REPS=20 run_fixture "$form-threads" 0 "$fixture"
    check_truth "$form-threads.out" "$form-threads.pb.gz"
done

note "the library alone"
LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 OFFHEAP_PROFILE=alone.pb.gz "$fixture" >alone.out ||
    fail "status $?"
check_truth alone.out alone.pb.gz -v nodwarf=1

note "sampled"
FIXTURE_REPS=500 expect_status 0 "$OFFHEAP_BIN" run --sample 4K -o sampled.pb.gz -- "$fixture"
grep '^truth ' out.txt >sampled.out
check_truth sampled.out sampled.pb.gz -v rate=4096 >z.txt || fail "the sampled profile"
awk '$1 == "z" && ($4 > 6 || $4 < -6) { print; bad = 1 } END { exit bad }' z.txt ||
    fail "estimates off by more than six standard errors"

note "stripped"
strip -o stripped "$fixture" || fail strip
run_fixture stripped 0 ./stripped
expect_text stripped.err 'has jemalloc in it but no symbol table'

finish
