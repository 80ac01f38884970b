#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A program that Go's own linker linked, as it does by default when only the standard library has C
# code: it drops that code's call frame information. The stack is whole on Go's side all the same.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

(cd "$OFFHEAP_SRC/fixtures/go" && "$OFFHEAP_GO" build -ldflags=-linkmode=internal -o "$OLDPWD/internal" \
    ./cmd/small) || skip "$OFFHEAP_GO ${GOTOOLCHAIN:-} cannot link internally here"

expect_status 0 "$OFFHEAP_BIN" run --exact -o internal.pb.gz -- ./internal
expect_status 0 "$OFFHEAP_BIN" report --focus '_Cfunc__Cmalloc$' internal.pb.gz
for name in _Cfunc__Cmalloc runtime.asmcgocall runtime.cgocall main._cgo_cmalloc main.main runtime.main; do
    echo "$name"
done >want.txt
awk 'NR == FNR { want[++count] = $1; next }
    at < count && index($1, want[at + 1]) { at++ }
    END { if (at < count) { print "missing:", want[at + 1]; exit 1 } }' want.txt out.txt ||
    fail "the path from malloc to runtime.main"
expect_text out.txt 'main malloc'
expect_text out.txt 'may lack C frames' "the gap is not told"
expect_no_text out.txt '\[truncated\]'

finish
