#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A thousand threads that came and went leave nothing of ours behind: no mapping, no descriptor, no
# memory beside the recording, and there only what is still held. With usual stacks and with the
# smallest.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

THREADS=1000

# What the threads after the first ones added: mappings, descriptors, KiB, KiB of address space.
growth()
{
    awk '$1 == "before" { m = $2; d = $3; k = $4; a = $5 }
        $1 == "after" { print $2 - m, $3 - d, $4 - k, $5 - a }' "$1"
}

# compare NAME PLAIN: the growth that NAME.out tells is that of PLAIN.out. Memory scatters in plain
# runs already, by arenas; 64 bytes a thread would be 62 KiB.
compare()
{
    # shellcheck disable=SC2046
    set -- "$1" $(growth "$2.out") $(growth "$1.out")
    note "$1: $6 mappings, $7 descriptors, $8 KiB, $9 KiB mapped; without: $2, $3, $4, $5"
    [ "$6" -le $(($2 + 1)) ] || fail "$1: mappings stay"
    [ "$7" -le "$3" ] || fail "$1: descriptors stay"
    [ "$8" -le $(($4 + 48)) ] || fail "$1: memory stays"
    [ "$9" -le $(($5 + 1024)) ] || fail "$1: address space stays" # A page a thread is 4,000.
}

for stack in 256 0; do
    for left in 0 3; do
        what="$stack.$left"
        # One arena: else chance decides how many there are. Sampled often, so that what samples
        # need once is there with the first threads.
        export GLIBC_TUNABLES=glibc.malloc.arena_max=1
        "$OFFHEAP_FIXTURES/thread_leaves" "$THREADS" "$stack" "$left" >"plain.$what.out" ||
            fail "the fixture fails by itself"
        expect_status 0 "$OFFHEAP_BIN" run --sample 1K -o "sampled.$what.pb.gz" -- \
            "$OFFHEAP_FIXTURES/thread_leaves" "$THREADS" "$stack" "$left"
        cp out.txt "sampled.$what.out"
        compare "sampled.$what" "plain.$what"
        run_fixture "exact.$what" 0 "$OFFHEAP_FIXTURES/thread_leaves" "$THREADS" "$stack" "$left"
        compare "exact.$what" "plain.$what"
        [ "$left" -eq 0 ] || check_truth "exact.$what.out" "exact.$what.pb.gz"
        unset GLIBC_TUNABLES
    done
done

# A slot of the table of live blocks is given back by the free: a table that is smaller than all
# blocks there ever were is not full at the end.
expect_status 0 "$OFFHEAP_BIN" run --exact --max-bytes 2M -o small.pb.gz -- \
    "$OFFHEAP_FIXTURES/thread_leaves" 2000 0 0
pprof -comments small.pb.gz >small.comments
expect_no_text small.comments 'not recorded'

finish
