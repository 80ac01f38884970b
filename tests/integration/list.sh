#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap list`: who is recorded, who is not and why, and what was left behind.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

started=
trap 'for pid in $started; do kill -KILL "$pid" 2>/dev/null; done' EXIT

# start NAME COMMAND...: in the background; $pid, and its output in NAME.out.
start()
{
    start_name=$1
    shift
    "$@" >"$start_name.out" 2>"$start_name.err" &
    pid=$!
    started="$started $pid"
    wait_for_text "$start_name.out" '^ready$' 20
}

block="$OFFHEAP_FIXTURES/leak block"

note "recorded"
# shellcheck disable=SC2086
start exact env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 $block
exact=$pid
# shellcheck disable=SC2086
start sampled env LD_PRELOAD="$OFFHEAP_LIB" $block
sampled=$pid

note "not recorded"
# shellcheck disable=SC2086
start disabled env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_DISABLE=1 $block
disabled=$pid
# shellcheck disable=SC2086
start no_room env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_DIR=/proc/self $block
no_room=$pid
cc -O2 -static -D_GNU_SOURCE -o static_block "$OFFHEAP_SRC/fixtures/c/leak.c" ||
    fail "no static program"
start static env LD_PRELOAD="$OFFHEAP_LIB" ./static_block block
static=$pid
start full env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_MAX_BYTES=2097152 \
    sh -c "sleep 20 | '$OFFHEAP_FIXTURES/bigload' 100000"

# shellcheck disable=SC2086
start dead env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 $block
dead=$pid
kill -KILL "$dead"
wait "$dead" 2>/dev/null

expect_status 0 "$OFFHEAP_BIN" list
cat out.txt
expect_text out.txt "^ *$exact +leak +exact .*recording"
expect_text out.txt "^ *$sampled +leak +sampled .*recording"
expect_text out.txt "^ *$disabled +leak .*not recorded.*disabled"
expect_text out.txt "^ *$no_room +leak .*not recorded"
expect_text out.txt "^ *$static +static_block .*not recorded.*static"
expect_text out.txt "^ *[0-9]+ +bigload +exact .*full"
expect_text out.txt "^ *$dead +leak .*$OFFHEAP_DIR/leak\.$dead\..*\.offheap"
expect_no_text out.txt "^ *$$ " "a process without the library"

note "a program that another was executed in place of"
start replaced env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 sh -c "exec $block"
older=$(find "$OFFHEAP_DIR" -name "*.$pid.*.offheap" ! -name 'leak.*')
for end in recording killed; do
    expect_status 0 "$OFFHEAP_BIN" list
    expect_text out.txt "^ *$pid .*$older \(replaced by exec\)\$"
    expect_text out.txt "^ *$pid +leak .*$end"
    expect_status 0 "$OFFHEAP_BIN" report "$older"
    expect_text out.txt "^C memory of .*, pid $pid \(gone, replaced by exec\)\$"
    expect_status 0 "$OFFHEAP_BIN" report "$pid"
    expect_text out.txt "^C memory of leak, pid $pid .*$end"
    [ "$end" = killed ] || { kill -KILL "$pid"; wait "$pid" 2>/dev/null; }
done

# The same words where one asks for one of them.
for pid in "$disabled" "$no_room" "$static"; do
    expect_status 1 "$OFFHEAP_BIN" export -o none.pb.gz "$pid"
    expect_text err.txt "^offheap: process $pid .*not recorded"
done

if [ "$(id -u)" -eq 0 ]; then
    note "AT_SECURE"
    cp "$OFFHEAP_FIXTURES/leak" secure
    chown 65534 secure
    chmod u+s secure
    # The loader takes a preloaded library for a setuid program only from the system's directories:
    # so what list can see is that the environment asked for it and the process has it not.
    start secure env LD_PRELOAD="$OFFHEAP_LIB" ./secure block
    expect_status 0 "$OFFHEAP_BIN" list
    expect_text out.txt "^ *$pid +secure .*not recorded.*(AT_SECURE|setuid|privilege)"
fi

finish
