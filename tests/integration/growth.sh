#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap report --growth` and `offheap memory` on recordings of processes that were killed: the stack that
# leaked since its third second is named, what stood still is not; gaps are told; and what cannot be compared.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# grow NAME ARGUMENTS...: the fixture under the library until it kills itself; its recording is $recording.
grow()
{
    grow_name=$1
    shift
    rm -rf "$OFFHEAP_DIR"
    mkdir -p "$OFFHEAP_DIR"
    LD_PRELOAD="$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/grow" "$@" >"$grow_name.truth" 2>/dev/null &
    wait "$!"
    recording=$(find "$OFFHEAP_DIR" -name '*.offheap' | head -n 1)
    [ -n "$recording" ] || { fail "$grow_name left no recording"; finish; }
}

# The change in KiB of the row whose stack names the function $1 first, 0 when there is none.
change_of()
{
    awk -v wanted="$1" '
        function kib(text, unit) {
            return text * (unit == "B" ? 1 / 1024 : unit == "KiB" ? 1 : unit == "MiB" ? 1024 : 1048576)
        }
        /^ +[0-9]+ +[0-9]/ { change = kib($6, $7); leaf = 1; next }
        leaf && $1 == wanted { print int(change + 0); found = 1; exit }
        { leaf = 0 }
        END { if (!found) print 0 }' out.txt
}

note "exact, killed: the leak since the third second, of malloc and of mmap"
OFFHEAP_EXACT=1
export OFFHEAP_EXACT
grow exact 3 9
expect_status 0 "$OFFHEAP_BIN" report --growth "$recording"
expect_text out.txt 'gone, killed'
expect_text out.txt '^Time line, in use by kind:'
expect_text out.txt ' malloc +mmap +RSS +cgroup$'
expect_text out.txt '^ +1 .* main malloc$' 'the leak is not first'
expect_text out.txt '^ +leak_more '
expect_text out.txt '^ +map_more '
expect_no_text out.txt '^ +hold_steady '
expect_no_text out.txt 'gap:'
leaked=$(($(awk '$1 == "leaked" { print $2 }' exact.truth) / 1024))
grown=$(change_of leak_more)
# At least what it leaked in the last second and a half, at most all that it leaked.
if [ "$grown" -le $((leaked / 6)) ] || [ "$grown" -gt $((leaked + 1)) ]; then
    fail "grown by $grown KiB of $leaked KiB"
fi

# The charge in the last column is one word where no control group can be read.
note "the same numbers that the process told of itself: RSS at the end"
rss=$(awk '/^Time line/ { on = 1; next } on && /^  20/ { line = $0 } on && /^$/ { exit }
    END { n = split(line, f, " "); if (f[n] != "-") n--; print f[n - 2], f[n - 1] }' out.txt)
case $rss in
[1-9]*' MiB') ;;
*) fail "no resident size in the time line: $rss" ;;
esac

note "a copy, of another time: the same"
cp "$recording" copied.offheap
touch -d '+3 hours' copied.offheap
cp out.txt first.txt
expect_status 0 "$OFFHEAP_BIN" report --growth copied.offheap
cmp -s first.txt out.txt || fail "a copy is told otherwise: $(diff first.txt out.txt)"

note "spans"
expect_status 0 "$OFFHEAP_BIN" report --growth --span 1s "$recording"
expect_text out.txt '^Old: .* before; new: the end$'
expect_status 0 "$OFFHEAP_BIN" report --growth --span 5h --limit 1 "$recording"
expect_text out.txt '^ +leak_more '
expect_status 0 "$OFFHEAP_BIN" report --growth --focus hold_steady "$recording"
expect_text out.txt 'no stack changed'
expect_status 0 "$OFFHEAP_BIN" report --growth --kind mmap "$recording"
expect_text out.txt '^ +1 .* main mmap$'

note "offheap memory of a recording: the same"
expect_status 0 "$OFFHEAP_BIN" memory "$recording"
expect_text out.txt '^Time line, in use by kind:'
expect_text out.txt '^ +leak_more '
expect_no_text out.txt '^ +hold_steady '
expect_text out.txt '^Verdict: +growing: (C live|maps that C code made), \+'
expect_text out.txt ' growing: C live, \+[0-9.]+ MiB in [0-9]+ s '
expect_text out.txt ' growing: maps that C code made, \+[0-9.]+ MiB in [0-9]+ s '
mapped=$(awk '$1 == "mapped" { print $2 }' exact.truth)
expect_text out.txt "^ +[0-9.]+ MiB  mmap, in $((mapped / 65536)) calls\$"
expect_status 0 "$OFFHEAP_BIN" memory --json "$recording"
expect_text out.txt '^  "gone": true,$'
expect_text out.txt "^    \"mmap\": \{\"bytes\": $mapped, \"objects\": $((mapped / 65536))\}"
expect_text out.txt '^    \{"second": 1\.[0-9]+, "time": [0-9.]+, "malloc": [0-9]+, .*"rss": [0-9]+'
expect_text out.txt '\{"kind": "growing_c_live", "part": "c_live", "bytes": [0-9]+'
! command -v python3 >/dev/null || python3 -m json.tool out.txt >/dev/null || fail "no JSON"

note "an idle process writes nothing: a gap"
grow paused 2 9 5
expect_status 0 "$OFFHEAP_BIN" report --growth "$recording"
expect_text out.txt 'gap: nothing was recorded for [56]s from '
expect_status 0 "$OFFHEAP_BIN" memory --json "$recording"
expect_text out.txt '"gap_after_s": [56]'

note "a fork, closed descriptors, another root"
grow forked 2 7 0 fork
expect_status 0 "$OFFHEAP_BIN" memory "$recording"
expect_text out.txt '^Verdict: +growing: '
expect_status 0 "$OFFHEAP_BIN" memory --json "$recording"
expect_no_text out.txt '"malloc": [5-9][0-9]{7},' "the child's 50 MiB are its parent's"
grow closed 2 7 0 closefrom
expect_status 0 "$OFFHEAP_BIN" memory --json "$recording"
expect_text out.txt '"second": [56]\..*"rss": [0-9]+'
expect_text out.txt '"kind": "growing_c_live"'
(cd "$OFFHEAP_DIR" && "$OFFHEAP_FIXTURES/grow" 9 0 0 chroot >/dev/null 2>&1)
if [ $? -eq 77 ]; then
    note "chroot is not allowed here"
else
    grow rooted 2 7 0 chroot
    expect_status 0 "$OFFHEAP_BIN" memory --json "$recording"
    expect_text out.txt '"second": [56]\..*"malloc": [0-9]+'
    expect_no_text out.txt '"second": [56]\..*"rss"' "a resident size without /proc"
    expect_text out.txt '"kind": "growing_c_live"'
fi

note "without a time line"
OFFHEAP_TIMELINE=0
export OFFHEAP_TIMELINE
grow off 1 6
unset OFFHEAP_TIMELINE
expect_status 0 "$OFFHEAP_BIN" report --growth "$recording"
expect_text out.txt '^Nothing to compare: the recording has no time line'
expect_no_text out.txt '^Time line'

note "a process that does not grow"
grow still 99 6
expect_status 0 "$OFFHEAP_BIN" report --growth "$recording"
expect_no_text out.txt '^ +hold_steady '
expect_no_text out.txt '^ +leak_more '
expect_status 0 "$OFFHEAP_BIN" memory "$recording"
expect_text out.txt '^Verdict: +not growing: '

note "too young, and what has no time line"
grow young 99 1
expect_status 0 "$OFFHEAP_BIN" report --growth "$recording"
expect_text out.txt '^Nothing to compare'
expect_status 0 "$OFFHEAP_BIN" memory "$recording"
expect_text out.txt '^Verdict: +what grew cannot be told: '
"$OFFHEAP_BIN" export -o young.pb.gz "$recording" >/dev/null 2>&1
expect_status 1 "$OFFHEAP_BIN" report --growth young.pb.gz
expect_text err.txt 'is a profile, which has no time line'
expect_status 2 "$OFFHEAP_BIN" report --growth --diff young.pb.gz young.pb.gz
expect_status 2 "$OFFHEAP_BIN" report --span 3s "$recording"
expect_status 2 "$OFFHEAP_BIN" report --growth --span soon "$recording"
expect_status 2 "$OFFHEAP_BIN" report --growth --sort alloc_space "$recording"

note "sampled, killed"
unset OFFHEAP_EXACT
OFFHEAP_SAMPLE_BYTES=20000
export OFFHEAP_SAMPLE_BYTES
grow sampled 3 9
expect_status 0 "$OFFHEAP_BIN" report --growth "$recording"
expect_text out.txt '^ +1 .*±.* main malloc$'
expect_text out.txt '^ +leak_more '
expect_no_text out.txt '^ +hold_steady '

finish
