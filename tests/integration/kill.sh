#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# SIGKILL at random moments, 200 times: every recording exports, its totals never exceed what the
# program had begun, and fall short of what it had done by nothing.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# Between 1 and 150 ms, other ones in every run.
moment()
{
    od -An -N2 -tu2 /dev/urandom | awk '{ printf "0.%03d\n", 1 + $1 % 150 }'
}

# The profile's totals of the path, against the bounds that the program kept of itself.
compare()
{
    awk '
        FNR == NR && $1 == "bounds" { least[$2] = $3; most[$2] = $4; next }
        FNR == NR { next }
        /^ *-?[0-9]+ +-?[0-9]+ +-?[0-9]+ +-?[0-9]+: / { values[++samples] = $0 }
        / kill_leaf / { leaf = $1 }
        END {
            for (i = 1; i <= samples; i++) {
                split(values[i], value, " ")
                if (value[5] ":" != leaf)
                    continue
                got["alloc_objects"] += value[1]
                got["alloc_bytes"] += value[2]
                got["inuse_objects"] += value[3]
                got["inuse_bytes"] += value[4]
            }
            for (what in least) {
                if (got[what] + 0 < least[what] + 0 || got[what] + 0 > most[what] + 0) {
                    print "     " what " is " got[what] + 0 ", bounds " least[what] " to " most[what]
                    bad++
                }
            }
            exit bad > 0 || !("alloc_objects" in least)
        }' "$1" "$2"
}

round=0
exported=0
while [ "$round" -lt 200 ]; do
    round=$((round + 1))
    rm -rf recordings book out.txt
    mkdir recordings
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$OFFHEAP_FIXTURES/kill" run book 3 >/dev/null 2>&1 &
    pid=$!
    sleep "$(moment)"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    set -- recordings/*.offheap
    # A kill before the program's first instruction leaves nothing to look at.
    [ -e "$1" ] || continue
    [ -s book ] || continue
    "$OFFHEAP_BIN" export -o killed.pb.gz "$1" >out.txt 2>&1 ||
        { fail "round $round does not export: $(cat out.txt)"; cp "$1" "bad.$round"; continue; }
    exported=$((exported + 1))
    "$OFFHEAP_FIXTURES/kill" print book >bounds.txt
    raw killed.pb.gz >killed.raw
    compare bounds.txt killed.raw || { fail "round $round"; cp "$1" "bad.$round"; }
    [ "$failures" -lt 5 ] || break
done
note "$exported of $round rounds exported"
[ "$exported" -ge 150 ] || fail "too few rounds left a recording"

finish
