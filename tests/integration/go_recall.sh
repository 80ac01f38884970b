#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What a thread remembers of the stack before, in a Go program whose goroutines change threads, grow
# and shrink and are called back from C, is the stack: it ends the program when it is not.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

go_fixture recall
expect_status 0 "$fixture" "$OFFHEAP_RECALL_CHECK" 2000
tail -n 40 err.txt
checked=$(awk '$1 == "recall_checks" { print $2 }' out.txt)
recalled=$(awk '$1 == "recall_recalled" { print $2 }' out.txt)
echo "-- $checked stacks, $recalled of them remembered"
[ "${recalled:-0}" -gt $((${checked:-0} / 3)) ] || fail "too few were remembered"

finish
