#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The profile on the wire, read by protoc with the public field numbers: ids, references, labels,
# flags, as pprof and the servers that take profiles want them.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

command -v protoc >/dev/null 2>&1 || skip "no protoc"

# check PROFILE EXE
check()
{
    check_exe=$(readlink -f "$2")
    check_id=$(readelf -n "$2" 2>/dev/null | awk '/Build ID:/ { print $3 }')
    gzip -t "$1" || fail "$1 is not gzip"
    gzip -dc "$1" | protoc -I "$OFFHEAP_SRC/tests/support" --decode=pprof.Profile profile.proto \
        >"$1.text" || { fail "protoc cannot read $1"; return; }
    # A field that the format does not have shows as its number.
    expect_no_text "$1.text" '^ *[0-9]+[:{ ]'
    awk -f "$OFFHEAP_SRC/tests/support/check_profile.awk" -v exe="$check_exe" \
        -v build_id="$check_id" "$1.text" || fail "$1"
}

for name in leak ctor sampled smash threads; do
    note "$name, by the command"
    run_fixture "$name" 0 "$OFFHEAP_FIXTURES/$name"
    check "$name.pb.gz" "$OFFHEAP_FIXTURES/$name"
    note "$name, by the library"
    expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_SAMPLE_BYTES=4096 \
        OFFHEAP_PROFILE="$PWD/$name-alone.pb.gz" "$OFFHEAP_FIXTURES/$name"
    check "$name-alone.pb.gz" "$OFFHEAP_FIXTURES/$name"
done

if [ -n "$(go_commands)" ]; then
    OFFHEAP_GO=$(go_commands | tail -n 1)
    for form in normal pie-stripped; do
        go_fixture "$form"
        note "Go, $form"
        run_fixture "go-$form" 0 "$fixture"
        check "go-$form.pb.gz" "$fixture"
        expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 \
            OFFHEAP_PROFILE="$PWD/go-$form-alone.pb.gz" "$fixture"
        check "go-$form-alone.pb.gz" "$fixture"
    done
fi

# Nothing allocated: an empty profile is still one.
note "no sample"
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_SAMPLE_BYTES=1073741824 \
    OFFHEAP_PROFILE="$PWD/none.pb.gz" "$OFFHEAP_FIXTURES/tiny"
pprof -symbolize=none -top none.pb.gz >none.top || fail "pprof does not read an empty profile"
expect_text none.top '^Type: inuse_space'

finish
