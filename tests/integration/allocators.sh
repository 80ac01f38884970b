#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Other allocators than libc's, by random operations of several threads: every block counted once, to
# the byte, in every order of loading; and what the recorder asks of them.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

ROUNDS=4000

# check NAME PRELOAD PROGRAM...: its truth is in the profile, with the library alone.
check()
{
    check_name=$1
    check_preload=$2
    shift 2
    note "$check_name: $check_preload"
    rm -f p.pb.gz
    timeout -s KILL 60 env LD_PRELOAD="$check_preload" OFFHEAP_EXACT=1 \
        OFFHEAP_PROFILE="$PWD/p.pb.gz" "$@" >p.out 2>p.err || fail "$check_name: status $?"
    expect_no_text p.out '^FAIL'
    check_truth p.out p.pb.gz -v nodwarf=1 || fail "$check_name: $check_preload"
}

# library FILE: its path, where the loader looks.
library()
{
    for library_dir in /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/lib64 /usr/lib; do
        [ ! -e "$library_dir/$1" ] || { echo "$library_dir/$1"; return; }
    done
}

tried=0
for name in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2.0; do
    path=$(library "$name")
    [ -n "$path" ] || { note "no $name here"; continue; }
    tried=$((tried + 1))
    for seed in 1 2; do
        for order in "$OFFHEAP_LIB:$path" "$path:$OFFHEAP_LIB"; do
            check "random $seed" "$order" "$OFFHEAP_FIXTURES/allocator_random" - $seed $ROUNDS
        done
    done
    # Operators that throw; mimalloc ends a program rather than that.
    [ "$name" = libmimalloc.so.2.0 ] || for order in "$OFFHEAP_LIB:$path" "$path:$OFFHEAP_LIB"; do
        check operators "$order" "$OFFHEAP_FIXTURES/operators"
    done
done

note "a layer that holds a lock when it brings the recorder up"
for program in leak ctor; do
    LD_PRELOAD="$OFFHEAP_FIXTURES/liblocked_layer.so" timeout -s KILL 20 \
        "$OFFHEAP_FIXTURES/$program" >/dev/null || fail "the layer alone"
    check "locked, $program" "$OFFHEAP_FIXTURES/liblocked_layer.so:$OFFHEAP_LIB" \
        "$OFFHEAP_FIXTURES/$program"
done

if [ ! -x "$OFFHEAP_FIXTURES/random_je" ]; then
    note "no libjemalloc.so and libjemalloc.a here"
    [ $tried -gt 0 ] || skip "no other allocator here"
    finish
fi

for kind in shared static hidden je; do
    check $kind "$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/random_$kind" - 3 $ROUNDS
done
GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384
export GLIBC_TUNABLES
check late "$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/random_late" libjemalloc.so.2 4 $ROUNDS
unset GLIBC_TUNABLES

# asked RECORDING: when jemalloc was asked for its statistics, 0 when never.
asked()
{
    od -A n -t u8 -j 3480 -N 8 "$1" | tr -d ' '
}

# ask NAME ARGUMENTS...: runs jemalloc_ask in the background.
ask()
{
    ask_name=$1
    shift
    OFFHEAP_DIR=$PWD/$ask_name.d
    mkdir -p "$OFFHEAP_DIR"
    LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 timeout -s KILL 30 "$OFFHEAP_FIXTURES/jemalloc_ask" \
        "$@" >"$ask_name.out" 2>&1 &
    ask_job=$!
    sleep 1.5
    ask_recording=$(find "$OFFHEAP_DIR" -name 'jemalloc_ask.*.offheap' | head -n 1)
    ask_pid=$(basename "$ask_recording" | cut -d. -f2)
}

note "jemalloc is asked for its statistics when a reader wants them, and not before"
ask wanted 6
[ "$(asked "$ask_recording")" = 0 ] || fail "asked by nobody"
expect_status 0 "$OFFHEAP_BIN" memory "$ask_pid"
expect_text out.txt 'jemalloc says \(0 s ago\)'
first=$(asked "$ask_recording")
[ "$first" -gt 0 ] || fail "not asked"
sleep 1.5
[ "$(asked "$ask_recording")" = "$first" ] || fail "asked twice for one wish"
expect_status 0 "$OFFHEAP_BIN" memory "$ask_recording"
[ "$(asked "$ask_recording")" -gt "$first" ] || fail "not asked again"
wait $ask_job || fail "status $?"
expect_text wanted.out '^done$'

note "never while its locks are held for a fork"
ask forking 5 fork
expect_status 0 "$OFFHEAP_BIN" memory "$ask_pid"
[ "$(asked "$ask_recording")" = 0 ] || fail "asked inside fork"
wait $ask_job || fail "status $?"
expect_text forking.out '^done$'

note "nor at an exit from inside of it"
OFFHEAP_DIR=$PWD
for run in 1 2 3 4 5; do
    LD_PRELOAD=$OFFHEAP_LIB timeout -s KILL 10 "$OFFHEAP_FIXTURES/jemalloc_ask" 1 exit ||
        fail "run $run: status $?"
done

finish
