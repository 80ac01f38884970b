#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A million live blocks fit into the default bound in exact mode; what does not fit into a smaller one
# is counted by name, and the program goes on.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

note "a million live blocks"
run_fixture million 0 "$OFFHEAP_FIXTURES/bigload" 1000000
check_truth million.out million.pb.gz
pprof -comments million.pb.gz >million.comments
expect_no_text million.comments 'not recorded'

note "bounds"
for bound in 2097152 8388608; do
    rm -rf recordings
    mkdir recordings
    expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_MAX_BYTES="$bound" \
        "$OFFHEAP_FIXTURES/bigload" 1000000
    expect_text out.txt '^ready$'
    set -- recordings/*.offheap
    bytes=$(stat -c %s "$1")
    [ "$bytes" -le "$bound" ] || fail "the recording has $bytes bytes, its bound is $bound"
    expect_status 0 "$OFFHEAP_BIN" report "$1"
    expect_text out.txt '[0-9]+ allocations not recorded: the table of live blocks is full'
    dropped=$(sed -n 's/^.* \([0-9]*\) allocations not recorded: the table of live.*/\1/p' out.txt |
        head -n 1)
    expect_status 0 "$OFFHEAP_BIN" export -o bound.pb.gz "$1"
    pprof -comments bound.pb.gz >bound.comments
    expect_text bound.comments "$dropped allocations not recorded"
    raw bound.pb.gz >bound.raw
    kept=$(awk '/bytes:\[40\]/ { n += at } /^ *[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+: / { at = $3 }
        END { print n + 0 }' bound.raw)
    note "$bound bytes hold $kept, $dropped are dropped"
    [ "$kept" -gt 0 ] || fail "nothing is kept"
    # printf and the loader have some blocks, too.
    [ $((kept + dropped)) -ge 1000000 ] || fail "kept and dropped are not all"
    [ $((kept + dropped)) -le 1000100 ] || fail "kept and dropped are more than all"
    expect_status 0 "$OFFHEAP_BIN" list
    expect_text out.txt 'full'
done

note "32,768 stacks"
run_fixture stacks 0 "$OFFHEAP_FIXTURES/stacks"
check_truth stacks.out stacks.pb.gz
expect_status 0 "$OFFHEAP_BIN" run --exact --max-bytes 2M -o few.pb.gz -- "$OFFHEAP_FIXTURES/stacks"
raw few.pb.gz >few.raw
kept=$(awk '/bytes:\[60\]/ { n += at } /^ *[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+: / { at = $1 }
    END { print n + 0 }' few.raw)
pprof -comments few.pb.gz >few.comments
expect_text few.comments '[0-9]+ allocations not recorded: the table of stacks is full'
dropped=$(sed -n 's/^\([0-9]*\) allocations not recorded.*/\1/p' few.comments |
    awk '{ n += $1 } END { print n + 0 }')
note "2 MiB hold $kept, $dropped are dropped"
[ "$kept" -gt 0 ] || fail "nothing is kept"
[ $((kept + dropped)) -ge 32768 ] || fail "kept and dropped are not all"
[ $((kept + dropped)) -le 32800 ] || fail "kept and dropped are more than all"

finish
