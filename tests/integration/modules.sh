#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A library that is unloaded, and another at its address: both are named right after death.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

cp "$OFFHEAP_FIXTURES/plugin_a.so" "$OFFHEAP_FIXTURES/plugin_b.so" .
for way in run alone; do
    note "$way"
    if [ "$way" = run ]; then
        run_fixture swap 0 "$OFFHEAP_FIXTURES/dlswap" ./plugin_a.so ./plugin_b.so
    else
        rm -f swap.pb.gz
        LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_PROFILE="$PWD/swap.pb.gz" \
            "$OFFHEAP_FIXTURES/dlswap" ./plugin_a.so ./plugin_b.so >swap.out 2>swap.err ||
            fail "dlswap failed"
    fi
    check_truth swap.out swap.pb.gz
    # The point of it: one address, two libraries.
    awk '$1 == "bases" { found = 1; same = $2 == $3 } END { exit !(found && same) }' swap.out ||
        fail "plugin_b.so does not lie where plugin_a.so lay: $(grep '^bases' swap.out)"
    raw swap.pb.gz >swap.raw
    for name in plugin_a plugin_b; do
        expect_text swap.raw "^ *[0-9]+: 0x.*/$name\.so " "no mapping"
    done
done

note "the file on disk is another one now"
"$OFFHEAP_BIN" run --exact --keep -o first.pb.gz -- "$OFFHEAP_FIXTURES/dlswap" ./plugin_a.so \
    ./plugin_b.so >swap.out 2>swap.err || fail "dlswap failed"
set -- recordings/dlswap.*.offheap
cp plugin_b.so plugin_a.so
for recording in "$@"; do last=$recording; done
expect_status 0 "$OFFHEAP_BIN" export -o replaced.pb.gz "$last"
raw replaced.pb.gz >replaced.raw
expect_no_text replaced.raw 'plugin_a_(leaf|run)|M=[0-9]+ plugin_b_leaf.*plugin_a\.so'
expect_text replaced.raw '\[plugin_a\.so\]' "frames of a replaced file"
expect_text replaced.raw 'plugin_b_leaf'
expect_text err.txt 'plugin_a\.so' "no warning about a replaced file"

finish
