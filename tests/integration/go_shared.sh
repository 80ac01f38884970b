#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A c-shared Go library in a C program: linked, and loaded when main has begun.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

for form in shared shared-stripped; do
    go_fixture "$form"
    options=
    case $form in *stripped) options='-v stripped=1' ;; esac

    note "$form, linked"
    cc -O2 -g -D_GNU_SOURCE -o host_linked "$OFFHEAP_SRC/fixtures/c/host_linked.c" "$fixture" \
        -Wl,-rpath,"$(dirname "$fixture")" || fail "host_linked does not build"
    run_fixture "$form-linked" 0 ./host_linked
    # shellcheck disable=SC2086
    check_truth "$form-linked.out" "$form-linked.pb.gz" $options

    note "$form, loaded later"
    run_fixture "$form-dlopen" 0 "$OFFHEAP_FIXTURES/host_dlopen" "$fixture"
    # shellcheck disable=SC2086
    check_truth "$form-dlopen.out" "$form-dlopen.pb.gz" $options
done

finish
