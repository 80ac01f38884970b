#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap run` as a wrapper: statuses, signals, standard streams, and what it leaves.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

leak=$OFFHEAP_FIXTURES/leak

for way in return:0 exit:3 quick:4 abort:134 segv:139 kill:137 term:143; do
    note "${way%:*}"
    run_fixture "${way%:*}" "${way#*:}" "$leak" "${way%:*}"
    check_truth "${way%:*}.out" "${way%:*}.pb.gz"
    [ "$(grep -c '^offheap' "${way%:*}.err")" -eq 1 ] ||
        { fail "not one line on stderr"; cat "${way%:*}.err"; }
    expect_text "${way%:*}.err" "go tool pprof .*${way%:*}\.pb\.gz"
done

# Signals that are sent to `run` are the program's.
for signal in TERM INT HUP USR1 QUIT; do
    note "SIG$signal passes through"
    # A shell starts background jobs with SIGINT and SIGQUIT ignored, and that is inherited: env
    # gives the default back.
    env --default-signal=INT,QUIT "$OFFHEAP_BIN" run --exact -o "signal-$signal.pb.gz" -- \
        "$leak" block >"signal-$signal.out" 2>"signal-$signal.err" &
    pid=$!
    wait_for_text "signal-$signal.out" '^ready$' 20
    kill "-$signal" "$pid"
    wait "$pid"
    got=$?
    case $signal in HUP) want=129 ;; INT) want=130 ;; QUIT) want=131 ;; USR1) want=138 ;; TERM) want=143 ;; esac
    [ "$got" -eq "$want" ] || fail "SIG$signal: status $got, want $want"
    check_truth "signal-$signal.out" "signal-$signal.pb.gz"
done

note "standard streams and arguments"
printf 'a line\n' | "$OFFHEAP_BIN" run -o cat.pb.gz -- cat >out.txt 2>err.txt
[ "$(cat out.txt)" = 'a line' ] || fail "standard input does not reach the program"
"$OFFHEAP_BIN" run -o echo.pb.gz -- printf '%s|' 'a b' -o --exact '' >out.txt 2>err.txt
[ "$(cat out.txt)" = 'a b|-o|--exact||' ] || fail "the program's arguments: $(cat out.txt)"
"$OFFHEAP_BIN" run -o pwd.pb.gz -- sh -c 'cd / && pwd && exit 9' >out.txt 2>err.txt
[ $? -eq 9 ] || fail "the status of a shell"
expect_file pwd.pb.gz

# Without -o the profile is named after the program and its pid, here.
note "default names"
mkdir named
(cd named && "$OFFHEAP_BIN" run -- "$leak" >/dev/null 2>../named.err)
set -- named/offheap.leak.[0-9]*.pb.gz
[ -s "$1" ] || { fail "no named/offheap.leak.PID.pb.gz"; ls named; }
expect_text named.err "$(basename "$1")"

# Without OFFHEAP_DIR a run leaves nothing but its profile.
note "nothing is left behind"
mkdir tmp
(unset OFFHEAP_DIR && TMPDIR="$PWD/tmp" "$OFFHEAP_BIN" run -o left.pb.gz -- "$leak") \
    >left.out 2>left.err
expect_file left.pb.gz
[ -z "$(find tmp /var/tmp /tmp -maxdepth 1 -name 'leak.*.offheap*' -newer left.out 2>/dev/null)" ] ||
    fail "a recording is left behind"

# An older profile of that name gives way to the new one, whole.
note "a profile is replaced"
echo old >again.pb.gz
run_fixture again 0 "$leak"
check_truth again.out again.pb.gz
[ "$(find . -name '*again*' | wc -l)" -eq 4 ] || { fail "files are left behind"; ls; }

note "names that need quoting"
cp "$leak" "it's a näme"
run_fixture "pro file's" 0 "./it's a näme"
check_truth "pro file's.out" "pro file's.pb.gz"
line=$(sed -n 's/^.*go tool pprof -http=: //p' "pro file's.err")
eval "set -- $line"
[ "$1" = "pro file's.pb.gz" ] || fail "the line to paste does not name the file: $line"
mkdir "a b"
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_DIR="$PWD/a b" OFFHEAP_EXACT=1 \
    OFFHEAP_PROFILE="$PWD/a b/%p é.pb.gz" "./it's a näme"
cp out.txt "a b/out"
check_truth "a b/out" "$(find "a b" -name '*é.pb.gz')" -v nodwarf=1

note "limits under which there is no recording"
expect_status 125 sh -c 'ulimit -f 100 && exec "$@"' sh "$OFFHEAP_BIN" run -o none.pb.gz -- "$leak"
expect_text err.txt 'no recording can be made in .*: File too large'
expect_text err.txt 'try: .*ulimit -f'
expect_status 0 sh -c 'ulimit -f 700 && exec "$@"' sh "$OFFHEAP_BIN" run -o none.pb.gz -- "$leak"
expect_text err.txt 'no room for it: files are limited to 350 KiB \(ulimit -f\)'
expect_no_text err.txt 'ulimit -v'
expect_status 1 sh -c 'ulimit -f 1 && exec "$@"' sh "$OFFHEAP_BIN" export -o none.pb.gz \
    "$(find "$OFFHEAP_DIR" -name 'leak.*.offheap' | head -n 1)"
expect_text err.txt 'cannot write the profile none\.pb\.gz: File too large'
expect_status 0 sh -c 'ulimit -v 100000 && exec "$@"' sh "$OFFHEAP_BIN" run -o none.pb.gz -- "$leak"
expect_text err.txt 'no room for it: the address space is limited to 97\.7 MiB \(ulimit -v\)'
expect_no_text err.txt 'ulimit -f'

# Of a program that executes another: the last is what the pid was.
note "exec"
run_fixture exec 6 sh -c "exec '$OFFHEAP_FIXTURES/tiny' 6"
check_truth exec.out exec.pb.gz

finish
