#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# --exact while goroutines allocate under a CPU profile at 500 Hz, garbage collections and SIGURG: at
# rest the counts are the truth; killed in the middle they are no more than it.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

for form in normal pie-stripped; do
    go_fixture "$form"
    options=
    case $form in *stripped) options='-v stripped=1' ;; esac
    note "$form, to the end"
    run_fixture "load-$form" 0 "$fixture" -load 1500
    # shellcheck disable=SC2086
    check_truth "load-$form.out" "load-$form.pb.gz" $options
    expect_no_text "load-$form.err" 'fatal error|SIGSEGV|unexpected signal'
done

note "sampled, to the end"
expect_status 0 "$OFFHEAP_BIN" run --sample 64K -o sampled.pb.gz -- "$fixture" -load 1500
expect_file sampled.pb.gz

# What is asked for can only be bounded: the program does not say how far it came.
note "killed"
for wait in 0.15 0.3 0.6; do
    rm -rf recordings
    mkdir recordings
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$fixture" -load 1000000 >/dev/null 2>&1 &
    pid=$!
    sleep "$wait"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    set -- recordings/*.offheap
    expect_status 0 "$OFFHEAP_BIN" export -o killed.pb.gz "$1"
    raw killed.pb.gz >killed.raw
    # Each round of a worker takes five blocks and keeps one; eight workers are in one call each.
    awk '/bytes:\[20369\]/ { print at }
        /^ *-?[0-9]+ +-?[0-9]+ +-?[0-9]+ +-?[0-9]+: / { at = $1 " " $3 }' killed.raw >load.counts
    awk '{ allocs += $1; inuse += $2 }
        END {
            kept = int(allocs / 5)
            print "-- " allocs " allocations, " inuse " in use"
            exit !(inuse >= kept - 8 && inuse <= kept + 16)
        }' load.counts || fail "killed after $wait s: counts do not fit together"
done

finish
