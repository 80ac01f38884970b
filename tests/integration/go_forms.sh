#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# --exact on every form of a Go program: every path to the byte, with its phase and package.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

for form in normal stripped pie pie-stripped trimpath; do
    note "$form"
    go_fixture "$form"
    run_fixture "$form" 0 "$fixture"
    case $form in
    *stripped) check_truth "$form.out" "$form.pb.gz" -v stripped=1 ;;
    *) check_truth "$form.out" "$form.pb.gz" ;;
    esac

    # What the runtime allocates to start its threads is told apart, and the runtime's own frames end
    # where Go's do.
    awk '/kind:\[thread\]/ { n++ } END { exit n == 0 }' "$form.pb.gz.raw" ||
        fail "$form: no sample of kind=thread"
    expect_no_text "$form.pb.gz.raw" ' runtime\.goexit ' "goexit, which Go's own profiles leave out"
    expect_no_text "$form.pb.gz.raw" '\.abi0 ' "a linker's suffix"
done

finish
