#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap run` on what cannot be recorded: a clear message, a status of its own, and no profile.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# refused STATUS REGEX PROGRAM: not started, and told why.
refused()
{
    refused_status=$1
    refused_text=$2
    shift 2
    note "$1"
    rm -f refused.pb.gz
    expect_status "$refused_status" "$OFFHEAP_BIN" run -o refused.pb.gz -- "$@"
    expect_text err.txt "^offheap: .*($refused_text)"
    expect_text err.txt '^ +try: ' "nothing to try is named"
    [ ! -s out.txt ] || { fail "the program was started"; head -n 3 out.txt; }
    [ ! -e refused.pb.gz ] || fail "there is a profile of nothing"
}

refused 125 'static' "$OFFHEAP_FIXTURES/tiny_static"
expect_text err.txt 'interpos' "no reason"

if [ -n "$(go_commands)" ]; then
    OFFHEAP_GO=$(go_commands | tail -n 1)
    go_fixture pure
    refused 125 'Go.*static|static.*Go' "$fixture"
    expect_text err.txt 'cgo|CGO_ENABLED' "no reason"
fi

if command -v musl-gcc >/dev/null 2>&1; then
    musl-gcc -O2 -o tiny_musl "$OFFHEAP_SRC/fixtures/c/tiny.c" || fail "no musl fixture"
    refused 125 'musl' ./tiny_musl
fi

# The head of a 32-bit ELF executable for i386 is enough to know it.
printf '\177ELF\001\001\001\000\000\000\000\000\000\000\000\000\002\000\003\000\001\000\000\000' >elf32
printf '\000\000\000\000\064\000\000\000\000\000\000\000\000\000\000\000' >>elf32
printf '\064\000\040\000\000\000\000\000\000\000\000\000' >>elf32
chmod +x elf32
refused 125 '32' ./elf32
# And of a 64-bit one for another machine.
printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\002\000\267\000\001\000\000\000' >elfarm
head -c 100 /dev/zero >>elfarm
chmod +x elfarm
refused 125 'machine|processor|architecture|aarch64|CPU' ./elfarm

refused 127 'no.*(file|program)' ./is-not-there
refused 127 'PATH' is-not-there-either
cp "$OFFHEAP_FIXTURES/tiny" not_executable
chmod 644 not_executable
refused 126 'execut' ./not_executable
mkdir directory
refused 126 'directory' ./directory
printf 'plain text\n' >text
chmod +x text
refused 126 'neither|not a program' ./text
printf '#!/is/not/there\n' >orphan_script
chmod +x orphan_script
refused 126 '/is/not/there' ./orphan_script
: >empty
chmod +x empty
refused 126 'empty|neither|not a program' ./empty
printf '\177ELF\002\001\001' >cut_elf
chmod +x cut_elf
refused 126 'cut|damaged|neither|not a program' ./cut_elf

# A setuid program of another user: the loader ignores LD_PRELOAD.
if [ "$(id -u)" -eq 0 ]; then
    cp "$OFFHEAP_FIXTURES/tiny" setuid
    chown 65534 setuid
    chmod u+s setuid
    refused 125 'setuid|privilege' ./setuid
elif [ -u /usr/bin/su ]; then
    refused 125 'setuid|privilege' /usr/bin/su --version
fi

# A script is its interpreter, which is recorded.
note "a script"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$OFFHEAP_FIXTURES/tiny" >script
chmod +x script
run_fixture script 5 ./script 5
check_truth script.out script.pb.gz
printf '#!%s\n' "$OFFHEAP_FIXTURES/tiny_static" >static_script
chmod +x static_script
refused 125 'static' ./static_script
expect_text err.txt 'static_script' "the script is not named"

note "usage"
for wrong in '' '--no-such-option' '-o' '--sample' '--sample x ./a' '--sample 0 ./a' \
    '--exact --sample 1M ./a'; do
    # shellcheck disable=SC2086
    expect_status 2 "$OFFHEAP_BIN" run $wrong
    expect_text err.txt '^offheap: ' "no message for: run $wrong"
done
for wrong in '' no-such-command --no-such-option 'export' 'export a b' 'export --what a' 'report' \
    'report --sort what a' 'report --phase what a' 'report --diff a' 'list a' 'list --what'; do
    # shellcheck disable=SC2086
    expect_status 2 "$OFFHEAP_BIN" $wrong
    expect_text err.txt '^offheap: ' "no message for: $wrong"
done
for right in help --help --version version 'help run' 'run --help'; do
    # shellcheck disable=SC2086
    expect_status 0 "$OFFHEAP_BIN" $right
    [ -s out.txt ] || fail "$right says nothing"
done

finish
