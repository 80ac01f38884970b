#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# export, report and list on what is no recording, or a broken one: words, a status, no crash, and
# never an empty profile without a reason.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

cat >program.c <<'EOF'
#include <stdlib.h>
int main(void)
{
    for (int i = 0; i < 50; i++) {
        void *volatile block = malloc(1000);
        (void)block;
    }
    return 0;
}
EOF
cc -g -O0 -o program program.c || { fail "cc"; finish; }
expect_status 0 "$OFFHEAP_BIN" run --exact --dir . -o p.pb.gz -- ./program
recording=$(find . -name 'program.*.offheap')
expect_file "$recording"

# both STATUS REGEX INPUT: export and report alike.
both()
{
    for both_command in export report; do
        both_output=
        [ "$both_command" = report ] || both_output="-o out.pb.gz"
        rm -f out.pb.gz
        # shellcheck disable=SC2086
        expect_status "$1" "$OFFHEAP_BIN" $both_command $both_output "$3"
        expect_text err.txt "$2"
        [ "$1" -eq 0 ] || [ ! -e out.pb.gz ] || fail "a profile of $3"
    done
}

note "no recordings"
mkdir directory
: >empty.offheap
head -c 8192 /dev/zero >zeros.offheap
printf 'some text that is longer than a magic\n' >text.offheap
both 1 'there is no file \./missing' ./missing
both 1 'is a directory' directory
both 1 'is empty' empty.offheap
both 1 'never begun' zeros.offheap
both 1 'not a recording' text.offheap
both 1 'a program or a library' ./program
expect_status 1 "$OFFHEAP_BIN" export p.pb.gz
expect_text err.txt 'offheap report'
expect_status 1 "$OFFHEAP_BIN" export $$
expect_text err.txt 'is not recorded: it was started without'
expect_status 1 "$OFFHEAP_BIN" export 999999999
expect_text err.txt 'there is no process 999999999'

note "another version"
cp "$recording" version.offheap
printf '\001' | dd of=version.offheap bs=1 seek=12 conv=notrunc 2>/dev/null
both 1 'has format version 1, this offheap reads version 2' version.offheap

note "cut"
size=$(stat -c %s "$recording")
for edge in 1 7 8 100 4095 4096 8192 65536 $((size / 2)) $((size - 4096)) $((size - 1)); do
    [ "$edge" -lt "$size" ] || continue
    head -c "$edge" "$recording" >cut.offheap
    "$OFFHEAP_BIN" export -o out.pb.gz cut.offheap >out.txt 2>err.txt
    got=$?
    [ "$got" -le 1 ] || fail "status $got at $edge bytes: $(cat err.txt)"
    [ "$got" -eq 0 ] || expect_text err.txt 'cut short|not a recording|never begun|is empty'
done

note "flipped bits"
i=0
while [ "$i" -lt 60 ]; do
    cp "$recording" flip.offheap
    at=$(((i * 2654435761 + 12345) % (i < 40 ? 4096 : size)))
    printf '%b' "\\0$(printf '%o' $((1 << (i % 8))))" |
        dd of=flip.offheap bs=1 seek="$at" conv=notrunc 2>/dev/null
    timeout 60 "$OFFHEAP_BIN" report flip.offheap >out.txt 2>err.txt
    got=$?
    [ "$got" -le 1 ] || fail "status $got with byte $at changed"
    [ "$got" -eq 0 ] || expect_text err.txt '^offheap: '
    i=$((i + 1))
done

note "profiles"
both_profile()
{
    expect_status 1 "$OFFHEAP_BIN" report "$1"
    expect_text err.txt "$2"
}
head -c 100 p.pb.gz >cut.pb.gz
both_profile cut.pb.gz 'damaged or cut short'
printf 'x' | gzip >other.gz
both_profile other.gz 'not a pprof profile'

note "output"
expect_status 1 "$OFFHEAP_BIN" export -o /nonexistent/p.pb.gz "$recording"
expect_text err.txt 'cannot write the profile /nonexistent/p.pb.gz'
expect_status 0 "$OFFHEAP_BIN" export -o - "$recording"
gzip -t <out.txt || fail "the standard output is no profile"
[ "$(find . -name '*.part' | wc -l)" -eq 0 ] || fail "a part is left"

note "a binary that was replaced, and --binary"
mkdir kept && mv program kept/
printf 'int main(void) { return 1; }\n' >other.c && cc -o program other.c
expect_status 0 "$OFFHEAP_BIN" export -o r.pb.gz "$recording"
expect_text err.txt 'warning: .*/program: .*--binary DIR'
"$OFFHEAP_BIN" report r.pb.gz >report.txt
expect_text report.txt '^ +\[program\]$'
expect_no_text report.txt '^ +main '
expect_status 0 "$OFFHEAP_BIN" export --binary kept -o r.pb.gz "$recording"
"$OFFHEAP_BIN" report r.pb.gz >report.txt
expect_text report.txt '^ +main .*program\.c:5'

finish
