#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# FORMAT.md is enough to read a recording: a reader that was written from it alone finds the same live
# blocks and the same maps as ours.
. "$OFFHEAP_SRC/tests/integration/lib.sh"
command -v python3 >/dev/null 2>&1 || skip "no python3"

show_maps=$OFFHEAP_FIXTURES/../tests/integration/show_maps

# leave VARIABLE=VALUE PROGRAM...: its recording, when it is gone, in $recording.
leave()
{
    rm -rf "$OFFHEAP_DIR" && mkdir "$OFFHEAP_DIR"
    env "LD_PRELOAD=$OFFHEAP_LIB" "$@" >program.out 2>&1 </dev/null
    recording=$(find "$OFFHEAP_DIR" -name '*.offheap' | head -n 1)
    [ -n "$recording" ] || { fail "no recording of $*"; return; }
    python3 "$OFFHEAP_SRC/tests/support/read_format.py" "$recording" >read.txt 2>read.err ||
        { fail "read_format.py: status $?"; tail -n 3 read.err; }
    check
}

# "OBJECTS BYTES" of what read_format.py says of a kind; bytes as a report writes them.
as_report()
{
    awk -v kind="$1" '
        $1 == kind {
            count = split("B KiB MiB GiB", unit, " ")
            bytes = $3
            for (i = 1; bytes >= 1024 && i < count; i++) bytes /= 1024
            form = i == 1 ? "%d" : bytes < 9.995 ? "%.2f" : bytes < 99.95 ? "%.1f" : "%.0f"
            printf form " %s in %s object\n", bytes, unit[i], $2
        }' read.txt
}

check()
{
    for kind in malloc mmap shm file; do
        want=$(as_report "$kind")
        [ -n "$want" ] || continue
        kinds="$kinds $kind"
        expect_status 0 "$OFFHEAP_BIN" report --kind "$kind" "$recording"
        got=$(sed -n 's/^   in use  *\([0-9.]* [A-Za-z]*\) .*in \([0-9,]* object\).*/\1 in \2/p
            s/^   in use  *\([0-9.]* [A-Za-z]*\) in \([0-9,]* object\).*/\1 in \2/p' out.txt | head -n 1 | tr -d ,)
        # A report rounds the objects of each stack by itself.
        printf '%s\n%s\n' "$got" "$want" | awk '
            { bytes[NR] = $1 $2; objects[NR] = $4 }
            END { far = objects[1] - objects[2]; exit !(bytes[1] == bytes[2] && far * far <= 25) }' ||
            fail "$kind: the report has '$got', FORMAT.md's reader '$want'"
    done
    "$show_maps" "$recording" | awk '$1 == "sum" && $3 != 0 { print $2, $3 }' | sort >ours.txt
    awk '$1 != "malloc" { print $1, $3 }' read.txt | sort >theirs.txt
    cmp -s ours.txt theirs.txt || { fail "maps differ"; diff ours.txt theirs.txt; }
}

kinds=
note "blocks, exact"
leave OFFHEAP_EXACT=1 "$OFFHEAP_FIXTURES/leak" kill
note "blocks, sampled"
leave OFFHEAP_SAMPLE_BYTES=65536 "$OFFHEAP_FIXTURES/sampled"
note "blocks, with a budget"
leave OFFHEAP_MAX_OVERHEAD=1% "$OFFHEAP_FIXTURES/bursts" 1
note "every kind of map"
leave OFFHEAP_EXACT=1 "$OFFHEAP_FIXTURES/maps"
note "thousands of maps, by threads"
leave OFFHEAP_EXACT=0 "$OFFHEAP_FIXTURES/mapstorm"
case $kinds in
*malloc*malloc*mmap*shm*file*) ;;
*) fail "not every kind was compared:$kinds" ;;
esac

finish
