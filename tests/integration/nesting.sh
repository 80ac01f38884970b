#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Under an allocator whose calloc and realloc call malloc through the loader nothing is counted twice:
# exactly with --exact, within 10 % when sampled (more than ten standard errors).
. "$OFFHEAP_SRC/tests/integration/lib.sh"

if ! cc -O1 -g -fno-builtin -shared -fPIC -o layer.so "$OFFHEAP_SRC/fixtures/c/layer.c" ||
    ! cc -O1 -g -o layered "$OFFHEAP_SRC/fixtures/c/layered.c"; then
    fail "no fixture"
fi

# allocated PROFILE FUNCTION: the bytes ever allocated below FUNCTION.
allocated()
{
    pprof -symbolize=none -unit=B -sample_index=alloc_space -top -focus="^$2\$" "$1" |
        awk -v name="$2" '$NF == name { print $4 + 0 }'
}

for mode in --exact "--sample 65536"; do
    # shellcheck disable=SC2086
    expect_status 0 env LD_PRELOAD="$PWD/layer.so" "$OFFHEAP_BIN" run $mode -o layered.pb.gz -- ./layered
    low=99999999 high=100000001
    [ "$mode" = --exact ] || { low=90000000 high=110000000; }
    for name in by_calloc by_realloc; do
        got=$(allocated layered.pb.gz $name)
        awk -v got="$got" -v low=$low -v high=$high 'BEGIN { exit !(got > low && got < high) }' ||
            fail "$mode $name: $got bytes"
    done
done

finish
