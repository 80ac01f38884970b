#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Places where no recording or no profile can be made: the program runs, and it is told.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

tiny=$OFFHEAP_FIXTURES/tiny

# not_recorded DIR REGEX: `run` refuses with the reason; with the library alone the program runs.
not_recorded()
{
    note "OFFHEAP_DIR=$1"
    expect_status 125 env OFFHEAP_DIR="$1" "$OFFHEAP_BIN" run -o x.pb.gz -- "$tiny"
    expect_text err.txt "$2"
    expect_status 7 env OFFHEAP_DIR="$1" LD_PRELOAD="$OFFHEAP_LIB" "$tiny" 7
    expect_text out.txt '^truth tiny '
    [ ! -s err.txt ] || { fail "the library speaks into its host"; head -n 3 err.txt; }
}

not_recorded "$PWD/is-not-there" 'is-not-there'
not_recorded "$tiny" 'irectory'
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed
    chmod 555 closed
    not_recorded "$PWD/closed" 'closed.*ermission'
fi
[ ! -d /proc/self ] || not_recorded /proc/self 'proc'

# Full from the beginning, and filling up on the way.
if mkdir small && mount -t tmpfs -o size=64k none small 2>/dev/null; then
    trap 'umount small grow plain 2>/dev/null' EXIT
    not_recorded "$PWD/small" 'o space|room'
    mkdir grow
    mount -t tmpfs -o size=4m none grow
    note "a disk that fills"
    expect_status 0 env OFFHEAP_DIR="$PWD/grow" LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 \
        "$OFFHEAP_FIXTURES/bigload" 300000
    expect_text out.txt '^ready$'
    [ ! -s err.txt ] || { fail "the library speaks into its host"; head -n 3 err.txt; }
    set -- grow/*.offheap
    if [ -e "$1" ]; then
        expect_status 0 "$OFFHEAP_BIN" report "$1"
        expect_text out.txt '[0-9]+ allocations not recorded' "what was lost is not told"
        expect_status 0 "$OFFHEAP_BIN" export -o full.pb.gz "$1"
        raw full.pb.gz >full.raw
        expect_text full.raw 'bigload_leaf'
        pprof -comments full.pb.gz >full.comments
        expect_text full.comments 'not recorded' "the profile's comments do not tell"
        awk '/bytes:\[40\]/ { n += at } /^ *[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+: / { at = $1 }
            END { exit !(n > 0 && n < 300000) }' full.raw || fail "counts of a full recording"
    else
        fail "no recording on a disk that fills on the way"
    fi
    note "a program that fills the disk itself"
    rm -f grow/*
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_DIR="$PWD/grow" sh -c \
        'dd if=/dev/zero of=grow/fill bs=64k 2>/dev/null; "$0" 200000 </dev/null' \
        "$OFFHEAP_FIXTURES/bigload" >out.txt 2>err.txt || fail "the program died"
    expect_text out.txt '^ready$'
    # A file system that cannot reserve: the first tables are written, the later ones do not come.
    mkdir plain
    if mount -t ramfs none plain; then
        note "no fallocate"
        expect_status 0 env OFFHEAP_DIR="$PWD/plain" "$OFFHEAP_BIN" run --exact -o plain.pb.gz -- \
            "$OFFHEAP_FIXTURES/leak"
        cp out.txt plain.out
        check_truth plain.out plain.pb.gz
        pprof -comments plain.pb.gz >plain.comments
        expect_text plain.comments 'fallocate' "the profile does not tell"
    fi
else
    note "no mount here: disks that are full are not tried"
fi

# A profile that has no place is said before a long run, not after it.
note "an unwritable profile"
expect_status 125 "$OFFHEAP_BIN" run -o "$PWD/no/such/place.pb.gz" -- "$tiny"
expect_text err.txt 'no/such'
expect_status 7 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/no/such/%p.pb.gz" "$tiny" 7
expect_text out.txt '^truth tiny '
mkdir taken.pb.gz
expect_status 7 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/taken.pb.gz" "$tiny" 7

# Files are the owner's alone, and no link is followed.
note "modes"
rm -rf recordings
mkdir recordings
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/mode.pb.gz" "$tiny"
for file in recordings/*.offheap mode.pb.gz; do
    [ -f "$file" ] || fail "no file $file"
    [ "$(stat -c %a "$file")" = 600 ] || fail "$file has mode $(stat -c %a "$file")"
done

finish
