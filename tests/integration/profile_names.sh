#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# OFFHEAP_PROFILE without the command: whose profile gets which name, that none is written over,
# what becomes of the recording, and that the program's own end stays as it is.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

tiny=$OFFHEAP_FIXTURES/tiny

# In a directory of its own, so that what it holds is what was written; recordings beside it.
fresh()
{
    note "$1"
    unset OFFHEAP_DIR
    rm -rf out tmp
    mkdir out tmp
    TMPDIR=$PWD/tmp
    export TMPDIR
}

recorded()
{
    LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/out/p.pb.gz" "$@"
}

# expect_files DIRECTORY REGEX: the names in it, one line, match.
expect_files()
{
    files=
    for file in "$1"/*; do
        [ -e "$file" ] && files="$files${file##*/} "
    done
    printf '%s\n' "$files" | grep -Eq "^$2\$" || fail "$1 holds '$files', want '$2'"
}

# expect_writer FILE PROGRAM: the profile tells that it is of this program.
expect_writer()
{
    gzip -dc "$1" | grep -aq "unmanaged (C) memory of pid [0-9]* (.*/$2)" ||
        fail "$1 is not $2's"
}

fresh "the first process has the plain name, and leaves no recording"
recorded "$tiny" 7 >/dev/null
[ $? -eq 7 ] || fail "the program's status is not its own"
expect_files out 'p\.pb\.gz '
expect_files tmp ''
expect_writer out/p.pb.gz tiny
gzip -dc out/p.pb.gz | grep -aq tiny_leaf || fail "the C function has no name"

fresh "a recording that was asked for stays"
OFFHEAP_DIR=$PWD/tmp recorded "$tiny" >/dev/null
expect_files out 'p\.pb\.gz '
expect_files tmp 'tiny\.[0-9]*\.[0-9]*\.offheap '

fresh "a later run replaces the profile of an earlier one"
recorded "$tiny" >/dev/null
sleep 0.1
cp out/p.pb.gz first
recorded "$tiny" 1 >/dev/null
expect_files out 'p\.pb\.gz '
cmp -s first out/p.pb.gz && fail "the older profile is still there"

fresh "children have their pid in the name"
recorded sh -c "'$tiny' >/dev/null & '$tiny' >/dev/null & wait"
expect_files out 'p\.[0-9]+\.pb\.gz p\.[0-9]+\.pb\.gz p\.pb\.gz '
for file in out/p.[0-9]*; do
    expect_writer "$file" tiny
done

fresh "a program that takes the place of its process has the plain name"
recorded sh -c "exec '$tiny'" >/dev/null
expect_files out 'p\.pb\.gz '
expect_writer out/p.pb.gz tiny

fresh "a forked child writes none"
recorded "$OFFHEAP_FIXTURES/fork" >/dev/null 2>&1
expect_files out 'p\.pb\.gz '

fresh "of two that were both given the plain name, the later writer takes its pid"
mkfifo hold
LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_PROFILE=$PWD/out/p.pb.gz cat <hold >/dev/null &
waiting=$!
exec 9>hold
tries=0
until [ -n "$(find tmp -name "cat.$waiting.*.offheap")" ] || [ "$tries" -ge 200 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
recorded "$tiny" >/dev/null
exec 9>&-
wait "$waiting"
rm -f hold
expect_files out "p\.$waiting\.pb\.gz p\.pb\.gz "
expect_writer out/p.pb.gz tiny
expect_writer "out/p.$waiting.pb.gz" cat

fresh "a relative name is meant from where the program began"
(cd out && LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_PROFILE=here.pb.gz "$tiny" >/dev/null)
expect_files out 'here\.pb\.gz '

fresh "a name that cannot be written: the program goes on, the recording stays and says so"
OFFHEAP_PROFILE=$PWD/nowhere/p.pb.gz LD_PRELOAD=$OFFHEAP_LIB "$tiny" 5 >/dev/null
[ $? -eq 5 ] || fail "the program's status is not its own"
expect_files tmp 'tiny\.[0-9]*\.[0-9]*\.offheap '
grep -aq 'OFFHEAP_PROFILE: not written' tmp/*.offheap || fail "the recording does not say why"

fresh "what is no file is left alone"
mkdir out/p.pb.gz
recorded "$tiny" >/dev/null
expect_files out 'p\.pb\.gz '
[ -d out/p.pb.gz ] || fail "the directory is gone"
rmdir out/p.pb.gz

finish
