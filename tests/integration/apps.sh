#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Programs that we did not write, with the library in them: they print what they print without it,
# leave with the same status, and see nothing of us.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

source=$OFFHEAP_SRC/fixtures/c/leak.c

# same NAME COMMAND...: without the library, sampled, at a sample every 512 bytes, and exact.
same()
{
    same_name=$1
    shift
    command -v "$1" >/dev/null 2>&1 || { note "no $1 here"; return; }
    note "$same_name"
    "$@" >plain.out 2>plain.err </dev/null
    same_status=$?
    for same_mode in OFFHEAP_EXACT=0 OFFHEAP_SAMPLE_BYTES=512 OFFHEAP_EXACT=1; do
        env LD_PRELOAD="$OFFHEAP_LIB" "$same_mode" "OFFHEAP_PROFILE=$PWD/$same_name.%p.pb.gz" "$@" \
            >ours.out 2>ours.err </dev/null
        [ $? -eq "$same_status" ] || fail "$same_name, $same_mode: another status"
        cmp -s plain.out ours.out || fail "$same_name, $same_mode: another output"
        cmp -s plain.err ours.err || { fail "$same_name, $same_mode: other messages"; head -n 3 ours.err; }
    done
    for same_profile in "$same_name".*.pb.gz recordings/*.offheap; do
        [ -e "$same_profile" ] || continue
        same_found=$((${same_found:-0} + 1))
        [ "$same_found" -le 3 ] || continue
        "$OFFHEAP_BIN" report "$same_profile" >report.out 2>&1 ||
            { fail "$same_profile is unreadable"; head -n 3 report.out; }
    done
    [ "${same_found:-0}" -gt 0 ] || fail "$same_name leaves nothing"
    same_found=0
    rm -f recordings/* "$same_name".*.pb.gz
}

same sort sort "$source"
same awk awk '{ n += NF } END { print n }' "$source"
same gzip gzip -c "$source"
same tar tar -cf - -C "$OFFHEAP_SRC/fixtures/c" --sort=name --mtime=@0 .
same find find "$OFFHEAP_SRC/fixtures" -name '*.c' -newer "$OFFHEAP_SRC/LICENSE"
# shellcheck disable=SC2016
same perl perl -e 'my %h = map { $_ => "x" x $_ } 1 .. 2000; print scalar(keys %h), "\n"'
same python3 python3 -c 'print(sum(len(str(i)) for i in range(20000)))'
same git git -C "$OFFHEAP_SRC" log --oneline -n 20
same cmake cmake --help-command-list
same clang-format clang-format-14 --style=LLVM "$source"
same readelf readelf -a "$OFFHEAP_FIXTURES/leak"
same gdb gdb -batch -ex 'info line main' "$OFFHEAP_FIXTURES/leak"
# shellcheck disable=SC2016
same shell sh -c 'x=0; while [ $x -lt 50 ]; do x=$((x + 1)); y=$(echo $x); done; echo $y'
# The compiler: its driver starts others, by vfork.
same gcc sh -c "gcc -O2 -D_GNU_SOURCE -S -o - '$source'"

# A Go command, which is often built without cgo, and then has nothing of us in it.
if [ -n "$(go_commands)" ]; then
    note "the go command"
    go=$(go_commands | head -n 1)
    GOTOOLCHAIN=local "$go" env GOVERSION >plain.out
    GOTOOLCHAIN=local LD_PRELOAD="$OFFHEAP_LIB" "$go" env GOVERSION >ours.out 2>ours.err
    cmp -s plain.out ours.out || fail "go env says something else"
    [ ! -s ours.err ] || { fail "go env has messages"; head -n 3 ours.err; }
fi

note "file descriptors, environment and threads are the program's"
# The library's own descriptor lies above those that programs count with.
find /proc/self/fd -name '?' -o -name '??' >plain.out
LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 find /proc/self/fd -name '?' -o -name '??' >ours.out
cmp -s plain.out ours.out || { fail "descriptors differ"; diff plain.out ours.out; }
LD_PRELOAD=$OFFHEAP_LIB awk '/^(Threads|SigBlk|SigIgn|SigCgt):/' /proc/self/status >ours.out
awk '/^(Threads|SigBlk|SigIgn|SigCgt):/' /proc/self/status >plain.out
cmp -s plain.out ours.out || { fail "threads or signals differ"; diff plain.out ours.out; }

note "closed descriptors"
LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 OFFHEAP_PROFILE=$PWD/closed.pb.gz "$OFFHEAP_FIXTURES/tiny" 3 \
    <&- >&- 2>&-
[ $? -eq 3 ] || fail "a program without standard streams"
raw closed.pb.gz >closed.raw
expect_text closed.raw 'tiny_leaf'
# limited STATUS OPTION VALUE: tiny under a limit of its shell.
limited()
{
    note "ulimit $2 $3"
    # shellcheck disable=SC2016
    expect_status "$1" sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
        ulimit "$1" "$2" && LD_PRELOAD=$3 OFFHEAP_EXACT=1 exec "$4" "$5"' sh \
        "$2" "$3" "$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/tiny" "$1"
    expect_text out.txt '^truth tiny '
}

limited 4 -n 4
limited 5 -v 60000
# No signal of ours: a file that may not grow would raise SIGXFSZ.
limited 6 -f 16

finish
