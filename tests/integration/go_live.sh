#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Go process that runs, and the same when it was killed; stacks that are longer than the limit.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

go_fixture normal

note "alive"
LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 "$fixture" -exit block >live.out 2>live.err &
pid=$!
wait_for_text live.out '^ready$' 20
expect_status 0 "$OFFHEAP_BIN" export -o live.pb.gz "$pid"
check_truth live.out live.pb.gz
expect_status 0 "$OFFHEAP_BIN" report "$pid"
expect_text out.txt 'main\.init\.0'
expect_status 0 "$OFFHEAP_BIN" list
expect_text out.txt "^ *$pid +normal +exact .*recording"
kill -0 "$pid" || fail "the export ended the process"

note "killed"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
recording=$(recording_of "$pid")
expect_status 0 "$OFFHEAP_BIN" export -o dead.pb.gz "$recording"
check_truth live.out dead.pb.gz
expect_status 0 "$OFFHEAP_BIN" list
expect_text out.txt "^ *$pid +normal .*$recording"
# The process is gone, its recording is not.
expect_status 0 "$OFFHEAP_BIN" export -o gone.pb.gz "$pid"
check_truth live.out gone.pb.gz

# Its file is gone, or another one now: Go's names are in the memory of a process that lives.
note "alive without its file"
cp "$fixture" moved
LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 ./moved -exit block >moved.out 2>moved.err &
pid=$!
wait_for_text moved.out '^ready$' 20
rm moved
expect_status 0 "$OFFHEAP_BIN" export -o moved.pb.gz "$pid"
check_truth moved.out moved.pb.gz -v stripped=1 -v only='^(c_string|method|generic|main_init|nest_|dotted)'
cp "$OFFHEAP_FIXTURES/sampled" moved
expect_status 0 "$OFFHEAP_BIN" export -o moved.pb.gz "$pid"
check_truth moved.out moved.pb.gz -v stripped=1 -v only='^(c_string|method|generic|main_init|nest_|dotted)'
kill -KILL "$pid"
wait "$pid" 2>/dev/null
note "dead with another file in its place"
recording=$(recording_of "$pid")
expect_status 0 "$OFFHEAP_BIN" export -o moved.pb.gz "$recording"
expect_text err.txt 'moved' "no warning"
raw moved.pb.gz >moved.raw
expect_text moved.raw '\[moved\]'
expect_no_text moved.raw 'take_small|main\.stringCase' "names although the file is another"
rm moved
mkdir elsewhere
cp "$fixture" elsewhere/copy
expect_status 0 "$OFFHEAP_BIN" export --binary elsewhere -o moved.pb.gz "$recording"
check_truth moved.out moved.pb.gz

# 200 frames on a goroutine's grown stack: cut at 128 by default, and it is said; whole when asked.
note "deep stacks"
pprof -symbolize=none -traces -focus='^main.deepStep$' dead.pb.gz >deep.txt
expect_text deep.txt '\[truncated\]' "a cut stack does not say so"
expect_no_text deep.txt 'main\.deepCase\.func1'
[ "$(grep -c 'main\.deepStep' deep.txt)" -ge 100 ] || fail "too few frames of a deep stack"
expect_status 0 "$OFFHEAP_BIN" run --exact --depth 512 -o whole.pb.gz -- "$fixture"
pprof -symbolize=none -traces -focus='^main.deepStep$' whole.pb.gz >deep.txt
expect_no_text deep.txt '\[truncated\]'
[ "$(grep -c 'main\.deepStep' deep.txt)" -eq 201 ] || fail "not every frame of a deep stack"
expect_text deep.txt 'main\.deepCase\.func1'
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_MAX_DEPTH=20 \
    OFFHEAP_PROFILE="$PWD/short.pb.gz" "$fixture"
pprof -symbolize=none -traces -focus='^main.deepStep$' short.pb.gz >deep.txt
[ "$(grep -c 'main\.deepStep' deep.txt)" -le 20 ] || fail "OFFHEAP_MAX_DEPTH is not kept"

finish
