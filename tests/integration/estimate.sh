#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sampling at 64 KiB, twenty runs: each path's estimate is within three standard errors of the truth
# (in 19 of 20), and the errors of the runs do not lean to one side.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# estimate NAME PROGRAM...: the standard errors off, of every run, in NAME.z.
estimate()
{
    estimate_name=$1
    shift
    : >"$estimate_name.z"
    estimate_run=0
    while [ "$estimate_run" -lt 20 ]; do
        "$OFFHEAP_BIN" run --sample 64K -o estimate.pb.gz -- "$@" >estimate.out 2>estimate.err ||
            { fail "$estimate_name: the run failed"; tail -n 3 estimate.err; return; }
        raw estimate.pb.gz >estimate.raw
        awk -f "$OFFHEAP_SRC/tests/support/check_truth.awk" -v rate=65536 estimate.out \
            estimate.raw >>"$estimate_name.z" || { fail "$estimate_name"; tail -n 3 "$estimate_name.z"; }
        estimate_run=$((estimate_run + 1))
    done
    # Three of twenty runs off by more than three is no chance (one in 50,000); a sum of twenty by more than four times the
    # root of twenty is a bias, not chance. So is an error that never shows.
    awk -v name="$estimate_name" '
        $1 == "z" {
            row = $2 " " $3
            n[row]++
            sum[row] += $4
            squares[row] += $4 * $4
            if ($4 > 3 || $4 < -3)
                off[row]++
        }
        END {
            for (row in n) {
                rows++
                lean = sum[row] / sqrt(n[row])
                spread = sqrt(squares[row] / n[row])
                printf "%s %s: %d of %d runs are off, lean %.2f, spread %.2f\n", name, row, off[row],
                       n[row], lean, spread
                if (n[row] != 20 || off[row] > 2 || lean > 4 || lean < -4 || spread < 0.4 ||
                    spread > 1.9)
                    bad++
            }
            exit bad > 0 || rows == 0
        }' "$estimate_name.z" || fail "$estimate_name is not estimated right"
}

note "mixed sizes, four paths"
estimate sampled "$OFFHEAP_FIXTURES/sampled"
note "1,000 threads that allocate once"
estimate threads "$OFFHEAP_FIXTURES/threads"

finish
