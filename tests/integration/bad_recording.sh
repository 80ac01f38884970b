#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Recordings that are cut, damaged, of another version, or none: a message that names the fault, status
# 1, never a crash, never an empty profile in silence.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

"$OFFHEAP_BIN" run --exact --keep -o whole.pb.gz -- "$OFFHEAP_FIXTURES/leak" >whole.out 2>whole.err ||
    fail "no recording to damage"
set -- recordings/leak.*.offheap
whole=$1
size=$(stat -c %s "$whole")
damage=${OFFHEAP_BIN%/*}/tests/integration/damage_recording

# refused FILE REGEX
refused()
{
    for refused_command in export report; do
        rm -f refused.pb.gz
        if [ "$refused_command" = export ]; then
            expect_status 1 "$OFFHEAP_BIN" export -o refused.pb.gz "$1"
        else
            expect_status 1 "$OFFHEAP_BIN" report "$1"
        fi
        expect_text err.txt "^offheap: .*($2)" "$refused_command"
        [ ! -e refused.pb.gz ] || fail "a profile of $1"
    done
}

# survives FILE: either refused with a message, or exported with a profile that pprof reads.
survives()
{
    rm -f survived.pb.gz
    "$OFFHEAP_BIN" export -o survived.pb.gz "$1" >survived.out 2>&1
    case $? in
    0) raw survived.pb.gz >survived.raw ;;
    1) expect_text survived.out '^offheap: ' "$1 is refused in silence" ;;
    *) fail "$1 ends the command with another status"; tail -n 3 survived.out ;;
    esac
}

note "none"
: >empty.offheap
refused empty.offheap 'empty'
refused . 'directory'
refused is-not-there 'no file'
refused /dev/null 'not a'
head -c 100000 /dev/zero >zero.offheap
refused zero.offheap 'never begun|not a recording'
head -c 100000 /dev/urandom >random.offheap
refused random.offheap 'not a recording'
refused "$OFFHEAP_FIXTURES/leak" 'not a recording'
# No process has the largest pid plus one.
refused "$(($(cat /proc/sys/kernel/pid_max) + 1))" 'no (process|file)'
sleep 100 &
refused $! "$!.*not recorded"
kill $!

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
    note "another user's"
    # In a directory that everybody may enter: what stands in the way is the recording's mode.
    other=$(mktemp -d)
    chmod 755 "$other"
    cp -p "$whole" "$other/other.offheap"
    expect_status 1 setpriv --reuid 65534 --regid 65534 --clear-groups "$OFFHEAP_BIN" export -o - \
        "$other/other.offheap"
    expect_text err.txt '^offheap: .*(uid 0|belongs|permission|Permission)'
    rm -rf "$other"
fi

# Section edges, and a byte to either side.
note "cut"
"$damage" edges "$whole" | sort -nu >edges.txt
[ "$(grep -c . edges.txt)" -ge 6 ] || fail "too few section edges"
for edge in 1 8 64 2496 4095 $(cat edges.txt); do
    for offset in $((edge - 1)) "$edge" $((edge + 1)); do
        if [ "$offset" -le 0 ] || [ "$offset" -ge "$size" ]; then
            continue
        fi
        head -c "$offset" "$whole" >cut.offheap
        survives cut.offheap
        cuts=$((${cuts:-0} + 1))
    done
done
head -c 4096 "$whole" >header.offheap
refused header.offheap 'cut short.*section'
note "$cuts cuts"

note "another version"
cp "$whole" future.offheap
"$damage" version future.offheap 200
refused future.offheap 'version 200'

note "flipped bits"
seed=0
while [ "$seed" -lt 150 ]; do
    seed=$((seed + 1))
    cp "$whole" flipped.offheap
    "$damage" flip flipped.offheap "$seed" $((1 + seed % 7))
    survives flipped.offheap
    [ "$failures" -lt 5 ] || { cp flipped.offheap "flipped.$seed"; break; }
done

finish
