#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sampling a Go program at 64 KiB, ten runs: every path's estimate against its truth.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

go_fixture normal
FIXTURE_REPS=40
export FIXTURE_REPS
: >estimate.z
run=0
while [ "$run" -lt 10 ]; do
    "$OFFHEAP_BIN" run --sample 64K -o estimate.pb.gz -- "$fixture" >estimate.out 2>estimate.err ||
        { fail "the run failed"; tail -n 3 estimate.err; }
    raw estimate.pb.gz >estimate.raw
    awk -f "$OFFHEAP_SRC/tests/support/check_truth.awk" -v rate=65536 estimate.out estimate.raw \
        >estimate.new || { fail "labels or frames"; grep FAIL estimate.new | head -n 5; }
    cat estimate.new >>estimate.z
    run=$((run + 1))
done

# About a hundred values a run, of which objects and bytes of one path say the same: 1,300 of ten runs
# stand for some 650, of which 2 are off by more than three on average; 12 (24 here) are not chance.
awk '
    $1 == "z" {
        n++
        row = $2 " " $3
        rows[row]++
        sum[row] += $4
        all += $4
        squares += $4 * $4
        if ($4 > 3 || $4 < -3)
            off++
    }
    END {
        for (row in rows) {
            lean = sum[row] / sqrt(rows[row])
            if (lean > 4.5 || lean < -4.5) {
                print "FAIL " row " leans by " lean
                bad++
            }
        }
        printf "%d values, %d off, mean %.3f, spread %.2f\n", n, off, all / n, sqrt(squares / n)
        spread = sqrt(squares / n)
        exit bad > 0 || n < 1000 || off > 24 || spread < 0.85 || spread > 1.2
    }' estimate.z || fail "the estimates are not right"

finish
