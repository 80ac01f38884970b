#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Names, files, lines and inlined calls that we read from a Go program's file, against what the
# program's own runtime says, at addresses all over it.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# build_names GO OUTPUT OPTION...: since Go 1.23 the linker wants to be asked for linkname.
build_names()
{
    names_go=$1
    names_output=$2
    shift 2
    (cd "$OFFHEAP_SRC/fixtures/go_names" && export GOFLAGS=-buildvcs=false GOWORK=off &&
        : "${GOTOOLCHAIN:=local}" && export GOTOOLCHAIN &&
        { "$names_go" build "$@" "-ldflags=$names_ldflags -checklinkname=0" -o "$names_output" . ||
            "$names_go" build "$@" "-ldflags=$names_ldflags" -o "$names_output" .; }) \
        >build.log 2>&1
}

# check_names GO OPTION...
check_names()
{
    check_go=$1
    shift
    note "$check_go $names_ldflags $*"
    build_names "$check_go" "$PWD/names" "$@" || { fail "no build"; tail -n 5 build.log; return 1; }
    ./names >names.out || fail "the program failed"
    "${OFFHEAP_BIN%/*}/tests/integration/check_go_names" names <names.out >names.differ ||
        { fail "names differ"; head -n 20 names.differ; }
}

[ -n "$(go_commands)" ] || skip "no Go"
for go in $(go_commands); do
    names_ldflags=
    check_names "$go"
    check_names "$go" -buildmode=pie
    names_ldflags='-s -w'
    check_names "$go" -buildmode=pie -trimpath
    check_names "$go"
    names_ldflags='-s -w -linkmode=internal'
    check_names "$go"
    check_names "$go" -buildmode=pie
done

finish
