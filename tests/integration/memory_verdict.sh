#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What `offheap memory --watch` says of programs that grow in one way, and of those that do not: each
# case is told from its opposite.
. "$OFFHEAP_SRC/tests/integration/lib.sh"
. "$OFFHEAP_SRC/tests/integration/memory_lib.sh"
hold=$OFFHEAP_FIXTURES/hold

note "a leak"
start "$hold" leak 20 8
look --watch 2s
verdict growing_c_live
no_verdict retained
expect_status 0 "$OFFHEAP_BIN" memory --watch 2s "$pid"
expect_text out.txt '^Verdict: +growing: C live, \+[0-9.]+ MiB in [0-9]+ s'
expect_text out.txt '^ +leak_small ' "the stack that leaks is not named"
stop

note "a leak, sampled"
recorded=sampled
start "$hold" leak 20 20
look --watch 3s
verdict growing_c_live
stop
recorded=exact

note "the stacks' change has the error of the verdict"
recorded=sampled
start "$hold" leak 200 10
sleep 2 # What came in the second of the first look counts as new.
expect_status 0 "$OFFHEAP_BIN" memory --watch 4s "$pid"
awk '
    /^Verdict: +growing: C live/ { split($0, part, "±"); split(part[2], word, " "); said = word[1] word[2] }
    /^  all / { shown = $NF; sub(/.*±/, "", $0); split($0, word, " "); shown = word[1] word[2] }
    function kib(text) { return text ~ /MiB$/ ? text * 1024 : text + 0 }
    END { exit !(kib(said) > 0 && kib(shown) < 1.3 * kib(said) && kib(shown) > 0.7 * kib(said)) }' out.txt ||
    { fail "two errors for one change"; grep -E '^Verdict|^  all' out.txt; }
stop
recorded=exact

note "large blocks"
start "$hold" large 20 40
look --watch 2s
verdict growing_c_live
no_verdict growing_maps
stop

note "a leak into what the allocator keeps"
start "$hold" both 200 20
look --watch 2s
verdict growing_c_live
verdict retained
expect_text look.json 'the resident size does not show it'
stop

note "maps"
start "$hold" maps 20 8
look --watch 2s
verdict growing_maps
no_verdict growing_c_live
stop

note "a leak that has ended before the watch is half over"
start "$hold" leak 8 20
{ sleep 1; kill -STOP "$pid"; } &
look --watch 5s
no_verdict growing_c_live
verdict not_growing
verdict levels_off
kill -CONT "$pid"
stop

note "^C: what was seen until then is shown"
start "$hold" leak 8 20
expect_status 0 timeout --preserve-status -s INT 5 "$OFFHEAP_BIN" memory --json --watch 10s "$pid"
cp out.txt look.json
verdict growing_c_live
stop

note "another program by exec, in the middle"
rm -f program.out
LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 sh -c 'echo ready; sleep 1; exec "$1" leak 8 20' sh "$hold" \
    >program.out 2>program.err &
pid=$!
started="$started $pid"
wait_for_text program.out '^ready$' 60
expect_status 1 "$OFFHEAP_BIN" memory --json --watch 3s "$pid"
expect_text err.txt 'another program \(exec\)'
cp out.txt look.json
no_verdict growing_.*
stop

note "a slow leak under waves that are larger: its stack alone is named"
start "$hold" slow 1 160
expect_status 0 "$OFFHEAP_BIN" memory --watch 4s "$pid"
expect_text out.txt 'growing: C live'
expect_text out.txt '^ +leak_small ' "the stack that leaks is not named"
expect_no_text out.txt '^ +make_wave ' "the waves are named"
look --watch 3s
expect_text look.json '"older": [1-9][0-9]*, "newer": [1-9][0-9]*, .*"frames": \["leak_small", "grow"'
if command -v python3 >/dev/null 2>&1; then
    python3 -m json.tool look.json >/dev/null || fail "it is no JSON"
fi
stop

note "nothing"
start "$hold" leak 20
look --watch 1s
verdict not_growing
no_verdict growing_.*
stop

note "not recorded: it grows, but why cannot be told"
recorded=no
start "$hold" leak 20 20
look --watch 2s
verdict growing_other
expect_text look.json '"part": "allocator_unsplit"'
stop

finish
