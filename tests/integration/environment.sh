#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The environment of the library: what it does, and that a wrong value is told but never ends a
# program.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

leak=$OFFHEAP_FIXTURES/leak

# alone VARIABLE=VALUE...: leak under the library; its profile is alone.pb.gz.
alone()
{
    rm -rf recordings alone.pb.gz
    mkdir recordings
    expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/alone.pb.gz" "$@" "$leak"
    cp out.txt alone.out
    [ ! -s err.txt ] || { fail "the library speaks into its host: $*"; head -n 3 err.txt; }
}

comments()
{
    pprof -comments "$1"
}

note "exact and sampled"
alone OFFHEAP_EXACT=1
check_truth alone.out alone.pb.gz -v nodwarf=1
comments alone.pb.gz >comments.txt
expect_text comments.txt '[Ee]xact|every allocation'
alone OFFHEAP_SAMPLE_BYTES=65536
raw alone.pb.gz >alone.raw
expect_text alone.raw '^Period: 65536$'
alone
raw alone.pb.gz >alone.raw
expect_text alone.raw '^Period: 524288$'

# The default is taken, and three places say so.
for wrong in OFFHEAP_EXACT=maybe OFFHEAP_SAMPLE_BYTES=many OFFHEAP_SAMPLE_BYTES=-5 \
    OFFHEAP_SAMPLE_BYTES=0 OFFHEAP_SAMPLE_BYTES=99999999999999999999 OFFHEAP_MAX_BYTES=1 \
    OFFHEAP_MAX_BYTES=12x OFFHEAP_MAX_DEPTH=0 OFFHEAP_MAX_DEPTH=100000 OFFHEAP_DISABLE=perhaps; do
    note "$wrong"
    alone "$wrong"
    comments alone.pb.gz >comments.txt
    expect_text comments.txt "${wrong%%=*}" "the profile's comments do not tell"
    set -- recordings/leak.*.offheap
    expect_status 0 "$OFFHEAP_BIN" report "$1"
    expect_text out.txt "${wrong%%=*}" "report does not tell"
    expect_status 0 "$OFFHEAP_BIN" export -o told.pb.gz "$1"
    comments told.pb.gz >comments.txt
    expect_text comments.txt "${wrong%%=*}" "the export's comments do not tell"
    raw alone.pb.gz >alone.raw
    expect_text alone.raw '^Period: 524288$'
done

note "OFFHEAP_DISABLE=1"
rm -rf recordings alone.pb.gz
mkdir recordings
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/alone.pb.gz" OFFHEAP_DISABLE=1 \
    "$leak"
[ ! -e alone.pb.gz ] || fail "a profile although disabled"
[ -z "$(ls recordings)" ] || fail "a recording although disabled"
expect_status 0 env OFFHEAP_DISABLE=1 "$OFFHEAP_BIN" run -o x.pb.gz -- "$leak"
expect_text err.txt 'OFFHEAP_DISABLE' "run does not say why there is nothing"

note "OFFHEAP_DIR names what it makes"
alone OFFHEAP_EXACT=1
set -- recordings/*
[ $# -eq 1 ] || fail "$# files"
expr "$1" : 'recordings/leak\.[0-9][0-9]*\.[0-9][0-9]*\.offheap$' >/dev/null || fail "the name $1"

# Without OFFHEAP_DIR: a temporary directory, by choice a disk.
note "no OFFHEAP_DIR"
mkdir tmp
(unset OFFHEAP_DIR && LD_PRELOAD="$OFFHEAP_LIB" TMPDIR="$PWD/tmp" "$leak" >/dev/null)
found=$(find tmp /var/tmp /tmp -maxdepth 1 -name 'leak.*.offheap' -newer recordings 2>/dev/null)
[ -n "$found" ] || fail "no recording in a temporary directory"
for file in $found; do rm -f "$file"; done

note "an existing LD_PRELOAD stays"
LD_PRELOAD=libm.so.6 "$OFFHEAP_BIN" run --exact -o preload.pb.gz -- env >out.txt 2>err.txt
expect_text out.txt '^LD_PRELOAD=.*liboffheap\.so:libm\.so\.6$'

# Two processes, one name.
note "one name for two processes"
mkdir two
# They run at the same time: one that begins after the other's end replaces an earlier run's profile.
for each in 1 2; do
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/two/p.pb.gz" sleep 3 &
done
wait
[ "$(find two -type f | wc -l)" -eq 2 ] || { fail "two profiles are wanted"; ls two; }
for file in two/*; do
    expect_status 0 "$OFFHEAP_BIN" report "$file"
    expect_text out.txt 'every allocation' "$file"
done

# A container whose pid 1 was restarted: the new process is not its own predecessor.
if unshare -pf --mount-proc true 2>/dev/null; then
    note "pid 1, twice, on one directory"
    rm -rf recordings
    mkdir recordings
    for each in 1 2; do
        LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 unshare -pf --mount-proc "$leak" kill >pid1.out
    done
    [ "$(find recordings -name 'leak.1.*.offheap' | wc -l)" -eq 2 ] ||
        { fail "two recordings of pid 1 are wanted"; ls recordings; }
    for file in recordings/leak.1.*.offheap; do
        expect_status 0 "$OFFHEAP_BIN" export -o pid1.pb.gz "$file"
        check_truth pid1.out pid1.pb.gz
    done
    note "alive in another pid namespace"
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 unshare -pf --kill-child --mount-proc "$leak" block \
        >inner.out &
    outer=$!
    wait_for_text inner.out '^ready$' 20
    inner=$(ps -o pid= --ppid "$outer" 2>/dev/null | tr -d ' ')
    if [ -n "$inner" ]; then
        expect_status 0 "$OFFHEAP_BIN" export -o inner.pb.gz "$inner"
        check_truth inner.out inner.pb.gz
    fi
    kill -KILL "$outer"
    wait "$outer" 2>/dev/null
fi

finish
