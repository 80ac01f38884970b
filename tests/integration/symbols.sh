#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Names of C code from DWARF beside the program, in debug files, in symbol tables, or from nowhere; and
# never from a file that is not the one that ran.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# names_of PROFILE REGEX...: each is in it.
names_of()
{
    names_profile=$1
    shift
    raw "$names_profile" >"$names_profile.raw"
    for names_text in "$@"; do
        expect_text "$names_profile.raw" "$names_text"
    done
}

note "DWARF in the program: inlined calls, files, lines"
cp "$OFFHEAP_FIXTURES/leak" whole
run_fixture whole 0 ./whole
check_truth whole.out whole.pb.gz
names_of whole.pb.gz 'M=1 inline_inner /.*/leak\.c:[1-9]' \
    '^ +inline_outer /.*/leak\.c:[1-9]' '^ +leak_inlined /.*/leak\.c:[1-9]'

note "a symbol table only"
objcopy --strip-debug whole symbols
run_fixture symbols 0 ./symbols
check_truth symbols.out symbols.pb.gz -v nodwarf=1
raw symbols.pb.gz >symbols.raw
expect_no_text symbols.raw ' inline_inner '

note "nothing"
strip -o nothing whole
run_fixture nothing 0 ./nothing
check_truth nothing.out nothing.pb.gz -v stripped=1
names_of nothing.pb.gz 'M=1 \[nothing\] '
raw nothing.pb.gz >nothing.raw
expect_no_text nothing.raw ' leak_(inner|outer)'

note "a debug link"
objcopy --only-keep-debug whole linked.debug
strip -o linked whole
objcopy --add-gnu-debuglink=linked.debug linked
run_fixture linked 0 ./linked
check_truth linked.out linked.pb.gz
mkdir .debug
mv linked.debug .debug/
run_fixture linked 0 ./linked
check_truth linked.out linked.pb.gz
# The link names a file of another build: its names are not this program's.
objcopy --only-keep-debug "$OFFHEAP_FIXTURES/sampled" .debug/linked.debug
run_fixture linked 0 ./linked
raw linked.pb.gz >linked.raw
expect_no_text linked.raw 'take_(small|large)|leak_inner'

note "a debug file by build id"
build_id=$(readelf -n whole | awk '/Build ID:/ { print $3 }')
debug=debug/.build-id/$(printf %.2s "$build_id")
mkdir -p "$debug"
objcopy --only-keep-debug whole "$debug/${build_id#??}.debug"
"$OFFHEAP_BIN" run --exact --keep -o kept.pb.gz -- ./nothing >nothing.out 2>nothing.err ||
    fail "no recording"
set -- recordings/nothing.*.offheap
for recording in "$@"; do last=$recording; done
cp "$last" copied.offheap
expect_status 0 "$OFFHEAP_BIN" export --binary debug -o by-id.pb.gz copied.offheap
check_truth nothing.out by-id.pb.gz

note "the binary itself, elsewhere"
mkdir away
mv whole away/under-another-name
rm -f nothing
expect_status 0 "$OFFHEAP_BIN" export -o gone.pb.gz copied.offheap
raw gone.pb.gz >gone.raw
expect_text gone.raw '\[nothing\]'
expect_text err.txt 'nothing' "no word of the missing file"
expect_status 0 "$OFFHEAP_BIN" export --binary away -o found.pb.gz copied.offheap
check_truth nothing.out found.pb.gz
expect_status 0 "$OFFHEAP_BIN" report --binary away --limit 0 copied.offheap
expect_text out.txt 'inline_inner'

note "a replaced binary"
cp "$OFFHEAP_FIXTURES/sampled" nothing
expect_status 0 "$OFFHEAP_BIN" export -o replaced.pb.gz copied.offheap
raw replaced.pb.gz >replaced.raw
expect_text replaced.raw '\[nothing\]'
expect_no_text replaced.raw 'take_|leak_' "names of another file"
expect_text err.txt 'nothing.*(replaced|changed|differ|other|another|build id)' "no warning"
pprof -comments replaced.pb.gz >replaced.comments
expect_text replaced.comments 'nothing' "the profile does not tell"

note "clones"
for form in dwarf table; do
    cp "$OFFHEAP_FIXTURES/clones" "clones-$form"
    [ "$form" = dwarf ] || objcopy --strip-debug "clones-$form"
    run_fixture "clones-$form" 0 "./clones-$form"
    check_truth "clones-$form.out" "clones-$form.pb.gz"
    raw "clones-$form.pb.gz" >"clones-$form.raw"
    expect_no_text "clones-$form.raw" 'M=1 clone_[a-z]+\.' "a clone's suffix in a name"
done
# pprof shows system_name in parentheses when it is another.
if nm clones-table | grep -q 'clone_constprop\.constprop\.0$'; then
    expect_text clones-table.raw 'clone_constprop .*\(clone_constprop\.constprop\.0\)$'
fi

note "C++ and Rust names"
objcopy --strip-debug "$OFFHEAP_FIXTURES/mangled" mangled
run_fixture mangled 0 ./mangled
check_truth mangled.out mangled.pb.gz
raw mangled.pb.gz >mangled.raw
expect_text mangled.raw 'mycrate::legacy::allocate .*\(_ZN7mycrate6legacy8allocate17h'
# pprof demangles the profile that the library wrote: its names are the linker's.
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/alone.pb.gz" ./mangled
check_truth mangled.out alone.pb.gz

finish
