#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every way in which a Go program ends, with the library alone and with `offheap run`.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

go_fixture normal

# The library leaves a finished profile, whatever way Go takes out.
ends_alone()
{
    note "LD_PRELOAD, $1"
    rm -f alone.pb.gz
    expect_status "$2" env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 \
        OFFHEAP_PROFILE="$PWD/alone.pb.gz" "$fixture" -exit "$1"
    cp out.txt alone.out
    # DWARF is not the library's: inlined C functions have no names there.
    check_truth alone.out alone.pb.gz -v nodwarf=1
    ls ./*.tmp* ./.*.tmp* 2>/dev/null && fail "$1: files are left behind"
}

ends_alone return 0
ends_alone os 3
ends_alone fatal 1
ends_alone panic 2
ends_alone nil 2
ends_alone cexit 4
# Eight threads leave at once: one of them writes, the others wait or leave.
for round in 1 2 3 4 5; do
    ends_alone race 5
done

# The others go on allocating while the profile is written.
for way in return:0 os:3 panic:2; do
    note "LD_PRELOAD, busy, ${way%:*}"
    rm -f busy.pb.gz
    begun=$(date +%s)
    expect_status "${way#*:}" env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 \
        OFFHEAP_PROFILE="$PWD/busy.pb.gz" "$fixture" -busy -exit "${way%:*}"
    took=$(($(date +%s) - begun))
    [ "$took" -le 10 ] || fail "the end took $took s"
    cp out.txt busy.out
    check_truth busy.out busy.pb.gz -v nodwarf=1
done

# Killed by a signal there is no end to write a profile at: the recording is complete.
dies_alone()
{
    note "LD_PRELOAD, $1"
    rm -rf recordings died.pb.gz
    mkdir recordings
    LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/died.pb.gz" \
        "$fixture" -exit "$1" >died.out 2>died.err
    got=$?
    [ "$got" -eq "$2" ] || fail "$1: status $got, want $2"
    set -- recordings/*.offheap
    [ $# -eq 1 ] || fail "$# recordings"
    expect_status 0 "$OFFHEAP_BIN" export -o exported.pb.gz "$1"
    check_truth died.out exported.pb.gz
}

dies_alone kill 137
dies_alone term 143

# `run` passes the status on and writes the profile, however the program went.
for way in return:0 os:3 fatal:1 panic:2 nil:2 cexit:4 kill:137 term:143; do
    note "run, $way"
    run_fixture "run-${way%:*}" "${way#*:}" "$fixture" -exit "${way%:*}"
    check_truth "run-${way%:*}.out" "run-${way%:*}.pb.gz"
done
expect_text run-return.err '^offheap: run-return\.pb\.gz .*go tool pprof .*run-return\.pb\.gz$'
[ "$(grep -c . run-return.err)" -eq 1 ] ||
    { fail "run says more than one line"; cat run-return.err; }

# The program becomes another one: the profile of that pid is of what it became.
note "exec"
tiny=$OFFHEAP_FIXTURES/tiny
run_fixture exec 6 "$fixture" -exit exec "$tiny" 6
check_truth exec.out exec.pb.gz -v only='^tiny$'

# Go makes processes by a raw clone that shares its memory until the exec.
note "children"
mkdir children
run_fixture children/run 0 "$fixture" -children 20 "$tiny"
check_truth children/run.out children/run.pb.gz
[ "$(find children -name 'run.*.pb.gz' | wc -l)" -eq 20 ] || fail "not one profile of each child"

# %p is the pid.
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/pid.%p.pb.gz" "$fixture"
set -- pid.[0-9]*.pb.gz
[ -s "$1" ] || fail "no profile with the pid in its name"

finish
