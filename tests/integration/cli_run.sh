#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap run`: statuses, signals, children, names of profiles, what becomes of the recordings.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

cat >program.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    void *volatile block = malloc(4321);
    (void)block;
    puts("ready");
    fflush(stdout);
    sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
    return 7;
}
EOF
cc -g -O0 -o program program.c || { fail "cc"; finish; }
program=$PWD/program

# holds PROFILE: it has the program's block, to the byte.
holds()
{
    expect_file "$1"
    "$OFFHEAP_BIN" report "$1" >report.txt || fail "report $1"
    expect_text report.txt '4\.22 KiB +1 +4\.22 KiB +1 .*main malloc'
}

left()
{
    find "$1" -name '*.offheap' | wc -l
}

note "the default name, and the recording is gone"
mkdir one two
(cd one && env -u OFFHEAP_DIR TMPDIR="$PWD/../two" "$OFFHEAP_BIN" run --exact -- "$program" >/dev/null \
    2>../err.txt </dev/null)
[ $? -eq 7 ] || fail "status of a program that returns 7"
holds "$(find one -name 'offheap.program.*.pb.gz')"
[ "$(left two)" -eq 0 ] || fail "a recording is left"

note "--keep, --dir and OFFHEAP_DIR leave it"
env -u OFFHEAP_DIR TMPDIR="$PWD/two" "$OFFHEAP_BIN" run --exact --keep -o k.pb.gz -- "$program" \
    >/dev/null 2>err.txt </dev/null
[ "$(left two)" -eq 1 ] || fail "--keep removed it"
mkdir three
env -u OFFHEAP_DIR "$OFFHEAP_BIN" run --exact --dir three -o k.pb.gz -- "$program" >/dev/null \
    2>err.txt </dev/null
[ "$(left three)" -eq 1 ] || fail "--dir removed it"
expect_status 0 "$OFFHEAP_BIN" export -o again.pb.gz three/*.offheap
holds again.pb.gz

note "killed by any signal"
for signal in KILL TERM SEGV; do
    "$OFFHEAP_BIN" run --exact -o "$signal.pb.gz" -- sh -c "\"$program\" & kill -$signal \$\$" \
        >/dev/null 2>err.txt </dev/null
    got=$?
    want=$((128 + $(kill -l "$signal" 2>/dev/null || echo 0)))
    case $signal in KILL) want=137 ;; TERM) want=143 ;; SEGV) want=139 ;; esac
    [ "$got" -eq "$want" ] || fail "status $got after $signal, want $want"
    expect_file "$signal.pb.gz"
done

note "a signal that we get"
"$OFFHEAP_BIN" run --exact -o term.pb.gz -- "$program" 60 >ready.txt 2>err.txt </dev/null &
run=$!
wait_for_text ready.txt '^ready$' 10
kill -TERM "$run"
wait "$run"
got=$?
[ "$got" -eq 143 ] || fail "status $got after SIGTERM to the command"
holds term.pb.gz

note "children have their own"
expect_status 7 "$OFFHEAP_BIN" run --exact -o family.pb.gz -- \
    sh -c "'$program'; '$program' & wait; exec '$program'"
holds family.pb.gz
[ "$(find . -name 'family.*.pb.gz' | wc -l)" -eq 2 ] || fail "profiles: $(ls family*)"
for profile in family.*.pb.gz; do
    [ "$profile" = family.pb.gz ] || holds "$profile"
done

note "a child that goes on running"
"$OFFHEAP_BIN" run --exact -o parent.pb.gz -- sh -c "'$program' 60 >child.txt & \
    while ! grep -q ready child.txt; do sleep 0.1; done" >/dev/null 2>err.txt </dev/null
expect_text err.txt 'its child [0-9]+ is still running: offheap export [0-9]+'
child=$(sed -n 's/.*its child \([0-9]*\) is still.*/\1/p' err.txt)
expect_status 0 "$OFFHEAP_BIN" export -o child.pb.gz "$child"
holds child.pb.gz
expect_status 0 "$OFFHEAP_BIN" list
expect_text out.txt "^ *$child +program +exact .* recording\$"
kill -KILL "$child"

note "OFFHEAP_PROFILE of ours is not the program's"
expect_status 7 env OFFHEAP_PROFILE="$PWD/library.pb.gz" "$OFFHEAP_BIN" run --exact -o o.pb.gz -- \
    "$program"
[ ! -e library.pb.gz ] || fail "the library wrote a profile, too"
holds o.pb.gz

note "disabled"
expect_status 7 env OFFHEAP_DISABLE=1 "$OFFHEAP_BIN" run -o d.pb.gz -- "$program"
expect_text err.txt 'was not recorded: OFFHEAP_DISABLE=1 is set'

note "a wrong setting is told"
expect_status 7 env OFFHEAP_SAMPLE_BYTES=lots "$OFFHEAP_BIN" run --exact -o w.pb.gz -- "$program"
"$OFFHEAP_BIN" report w.pb.gz >report.txt
expect_text report.txt 'OFFHEAP_SAMPLE_BYTES'

finish
