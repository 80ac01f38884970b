#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap run` on what it cannot record: a message that says what, why and what to try, before
# anything is started; and on what it can.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

cat >program.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *volatile block = malloc(100000);
    (void)block;
    puts("started");
    return 7;
}
EOF
cc -o dynamic program.c || { fail "cc"; finish; }

# refused STATUS REGEX PROGRAM...
refused()
{
    refused_status=$1
    refused_text=$2
    shift 2
    note "$*"
    expect_status "$refused_status" "$OFFHEAP_BIN" run -o p.pb.gz -- "$@"
    expect_text err.txt "$refused_text"
    expect_text err.txt '^ *try: '
    expect_no_text out.txt started "it was started"
    [ ! -e p.pb.gz ] || { fail "a profile of what was not recorded"; rm -f p.pb.gz; }
}

cc -static -o static program.c && refused 125 'statically linked.*nothing can be interposed' ./static
cc -static-pie -o static_pie program.c && refused 125 'statically linked' ./static_pie
refused 127 'there is no \./missing' ./missing
refused 127 'there is no program missing-program in PATH' missing-program
mkdir directory
refused 126 'is a directory' ./directory
cp dynamic forbidden && chmod a-x forbidden
refused 126 'may not be executed' ./forbidden
printf 'no program\n' >text && chmod +x text
refused 126 'neither an ELF program nor a script' ./text
: >empty && chmod +x empty
refused 126 'it is empty' ./empty
printf '#!%s/static\n' "$PWD" >script_static && chmod +x script_static
refused 125 'static \(it interprets the script \./script_static\) is statically linked' ./script_static
printf '#!/nonexistent/sh\n' >script_lost && chmod +x script_lost
refused 126 'the interpreter /nonexistent/sh' ./script_lost
printf '\177ELF\001\001\001\000\000\000\000\000\000\000\000\000\002\000\003\000' >i386
head -c 64 /dev/zero >>i386 && chmod +x i386
refused 125 '32-bit program' ./i386
if command -v musl-gcc >/dev/null; then
    musl-gcc -o musl program.c && refused 125 'runs on the musl C library' ./musl
fi
if [ "$(id -u)" -eq 0 ]; then
    cp dynamic setuid && chown 65534 setuid && chmod 4755 setuid
    refused 125 'gains privileges.*AT_SECURE' ./setuid
fi
for go in $(go_commands); do
    go_pure=$(sh "$OFFHEAP_SRC/fixtures/go/build.sh" "$go" pure "$OFFHEAP_FIXTURES/go") || continue
    refused 125 'static Go program.*CGO_ENABLED=0' "$go_pure"
    break
done

note "a directory that cannot take a recording"
expect_status 125 "$OFFHEAP_BIN" run --dir /nonexistent -- ./dynamic
expect_text err.txt 'no directory /nonexistent'
expect_status 125 env OFFHEAP_DIR=/proc "$OFFHEAP_BIN" run -- ./dynamic
expect_text err.txt 'no recording can be made in /proc'
expect_status 125 "$OFFHEAP_BIN" run -o /nonexistent/p.pb.gz -- ./dynamic
expect_text err.txt 'the profile cannot be written into /nonexistent'

note "a full disk"
if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
    expect_status 125 "$OFFHEAP_BIN" run --dir small -- ./dynamic
    expect_text err.txt 'make room there'
    umount small
fi

note "what can be recorded"
expect_status 7 "$OFFHEAP_BIN" run --exact -o p.pb.gz -- ./dynamic
expect_text out.txt '^started$'
expect_text err.txt '^offheap: p\.pb\.gz .*: go tool pprof -http=: p\.pb\.gz$'
[ "$(wc -l <err.txt)" -eq 1 ] || fail "more than one line: $(cat err.txt)"
expect_file p.pb.gz
printf '#!/bin/sh\n./dynamic\nexit 3\n' >script && chmod +x script
expect_status 3 "$OFFHEAP_BIN" run --exact -o s.pb.gz -- ./script
expect_file s.pb.gz
[ "$(find . -name 's.*.pb.gz' | wc -l)" -eq 1 ] || fail "the script's child has no profile"

finish
