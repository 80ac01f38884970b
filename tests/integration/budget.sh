#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A budget: the mean moves through bursts and calms, the estimates hold with the errors that the
# profile gives them, and the profile tells what happened. A program that does nothing writes
# nothing. Nothing here is timed: a busy machine changes how often the mean moves, not whether.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

budget_line='budget: samples may take 0\.5% of the processor time; [0-9.]*% measured, of [0-9.]* s; changes of the mean: '

# changes RAW: how often the mean was moved in this run.
changes()
{
    sed -n "s/^Comment: $budget_line//p" "$1"
}

note "estimates across changes of the mean"
: >budget.z
run=0
all_moved=0
while [ "$run" -lt 3 ]; do
    "$OFFHEAP_BIN" run --max-overhead 0.5% --sample 16K -o budget.pb.gz -- \
        "$OFFHEAP_FIXTURES/bursts" 8 >budget.out 2>budget.err ||
        { fail "the run failed"; tail -n 3 budget.err; }
    raw budget.pb.gz >budget.raw
    awk -f "$OFFHEAP_SRC/tests/support/check_truth.awk" -v means=1 budget.out budget.raw \
        >>budget.z || { fail "the profile"; tail -n 3 budget.z; }
    moved=$(changes budget.raw)
    note "the mean was moved ${moved:-0} times"
    all_moved=$((all_moved + ${moved:-0}))
    run=$((run + 1))
done
[ "$all_moved" -ge 10 ] ||
    fail "the mean hardly moved: $(grep '^Comment: budget' budget.raw)"

# The blocks of one stack have one size, so its bytes are off by as many errors as its objects: only
# one of the two is looked at. Of some ten values two off by three is one chance in a thousand, as is
# a lean of four.
awk '
    $1 == "z" && $3 ~ /bytes/ {
        row = $2 " " $3
        n[row]++
        sum[row] += $4
        all++
        squares += $4 * $4
        if ($4 > 3 || $4 < -3)
            off++
    }
    END {
        for (row in n) {
            lean = sum[row] / sqrt(n[row])
            printf "%s: %d values, lean %.2f\n", row, n[row], lean
            if (lean > 4 || lean < -4)
                bad++
        }
        spread = sqrt(squares / all)
        printf "%d values, %d off, spread %.2f\n", all, off, spread
        exit bad > 0 || all < 6 || off > 1 || spread < 0.5 || spread > 1.6
    }' budget.z || fail "the estimates are not right"

note "report and difference"
"$OFFHEAP_BIN" report budget.pb.gz >report.txt || fail "report"
expect_text report.txt 'one sample per .* or less on average'
expect_text report.txt "$budget_line"
expect_text report.txt 'one sample per [0-9]* to [0-9]* bytes \(now [0-9]*\)'
"$OFFHEAP_BIN" report --diff --sort alloc_space budget.pb.gz budget.pb.gz >diff.txt || fail "report --diff"
expect_text diff.txt 'did not change'

note "an error is the same from a recording as from its profile"
"$OFFHEAP_BIN" run --max-overhead 0.5% --keep --dir . -o kept.pb.gz -- "$OFFHEAP_FIXTURES/bursts" \
    >kept.out 2>kept.err || fail "the run failed"
"$OFFHEAP_BIN" report --sort alloc_space kept.pb.gz | grep -o '±[0-9.]*%' >from.profile
"$OFFHEAP_BIN" report --sort alloc_space bursts.*.offheap | grep -o '±[0-9.]*%' >from.recording
[ -s from.profile ] || fail "no errors in the report"
cmp from.profile from.recording || { fail "errors differ"; diff from.profile from.recording; }

note "an idle process writes nothing"
OFFHEAP_MAX_OVERHEAD=1% OFFHEAP_DIR="$PWD" LD_PRELOAD=$OFFHEAP_LIB sleep 60 &
pid=$!
tries=0
until ls sleep."$pid".*.offheap >/dev/null 2>&1 || [ "$tries" -ge 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
# On a busy machine it takes a while until it is idle.
for tries in 1 2 3 4 5 6 7 8 9 10; do
    cp sleep."$pid".*.offheap before
    sleep 1
    cmp before sleep."$pid".*.offheap && break
done
cmp -s before sleep."$pid".*.offheap || fail "an idle process wrote"
kill "$pid"

note "what does not go together"
"$OFFHEAP_BIN" run --exact --max-overhead 1% -- true >both.out 2>both.err
[ $? -eq 2 ] || fail "--exact with a budget"
expect_text both.err '\-\-exact and --max-overhead exclude each other'
"$OFFHEAP_BIN" run --max-overhead 0.001% -- true >both.out 2>both.err
[ $? -eq 2 ] || fail "a budget that is too small"
expect_text both.err 'from 0.01% to 50%, .* not 0.001%'
OFFHEAP_MAX_OVERHEAD=1% "$OFFHEAP_BIN" run --exact -o exact.pb.gz -- "$OFFHEAP_FIXTURES/leak" \
    >exact.out 2>exact.err
check_truth exact.out exact.pb.gz
OFFHEAP_MAX_OVERHEAD=1% OFFHEAP_EXACT=1 OFFHEAP_PROFILE=env.pb.gz LD_PRELOAD=$OFFHEAP_LIB \
    "$OFFHEAP_FIXTURES/leak" >exact.out 2>exact.err
raw env.pb.gz >env.raw
expect_text env.raw 'Comment: OFFHEAP_MAX_OVERHEAD was not used'

finish
