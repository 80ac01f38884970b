#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The disk under a recording fills up while the program goes on: what was reserved stays ours, for
# every write and not for the first only. Each file system is a file of its own, mounted here.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "root is needed to mount a file system"
disk=$PWD/disk
mkdir -p "$disk"
tried=

# shellcheck disable=SC2317
clean()
{
    touch stop
    umount "$disk" 2>/dev/null
    rm -f image
}
trap clean EXIT

# Until nothing more goes in, and what was given back on the way neither.
fill()
{
    for try in 1 2 3; do
        dd if=/dev/zero of="$disk/large.$try" bs=1M 2>/dev/null
        dd if=/dev/zero of="$disk/small.$try" bs=4k 2>/dev/null
        sync -f "$disk"
    done
}

for type in ext4 xfs btrfs; do
    command -v "mkfs.$type" >/dev/null || continue
    truncate -s 400M image
    "mkfs.$type" image >mkfs.txt 2>&1 || { cat mkfs.txt; continue; }
    mount -t "$type" -o loop image "$disk" 2>mount.txt || { cat mount.txt; continue; }
    tried="$tried $type"
    note "$type"
    rm -f stop
    mkdir "$disk/recordings"
    OFFHEAP_DIR=$disk/recordings OFFHEAP_EXACT=1 LD_PRELOAD="$OFFHEAP_LIB" \
        "$OFFHEAP_FIXTURES/churn" "$PWD/stop" >churn.txt 2>&1 &
    churn=$!
    wait_for_text churn.txt '^ready$' 60
    sync -f "$disk"
    fill
    for _ in 1 2 3 4; do
        sleep 0.3
        sync -f "$disk"
    done
    touch stop
    left=600
    while kill -0 "$churn" 2>/dev/null && [ "$left" -gt 0 ]; do
        left=$((left - 1))
        sleep 0.1
    done
    [ "$left" -gt 0 ] || { fail "$type: the program hangs on a full disk"; kill -9 "$churn"; }
    wait "$churn"
    status=$?
    [ "$status" -eq 0 ] || fail "$type: the program ended with status $status on a full disk"
    expect_text churn.txt '^done$'
    expect_status 0 "$OFFHEAP_BIN" report "$disk"/recordings/churn.*.offheap
    expect_text out.txt 'replace_all'
    umount "$disk"
    rm -f image
done
[ -n "$tried" ] || skip "no file system could be made and mounted here"

finish
