#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/stall.sh [SECONDS]
#
# The longest single malloc or free while another process writes the disk that the recording lies on
# at full speed: two threads allocate for SECONDS (10), one mode after the other, without the library,
# with the recording on the disk and with it in memory, in quiet and beside the writer. As root also
# with the kernel's limits of dirty memory lowered, and put back. What the columns are: stall.c.
# Nothing here passes or fails. From the environment:
#   BENCH_LIBRARY   measures this liboffheap.so (build/release/liboffheap.so)
#   STALL_DISK      a directory on a disk (/var/tmp): the recording and the writer's file go there
#   STALL_MEMORY    a directory in memory (/dev/shm)
#   STALL_LOADS     of: quiet writing limits (all three)
#   STALL_BLOCKS    blocks that each thread holds (20,000)
#   STALL_ROUNDS    rounds (1)

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
library=${BENCH_LIBRARY-$root/build/release/liboffheap.so}
seconds=${1-10}
case $seconds in
'' | *[!0-9]*)
    echo 'usage: sh tests/bench/stall.sh [SECONDS]' >&2
    exit 2
    ;;
esac
blocks=${STALL_BLOCKS-20000}
scratch=$(mktemp -d)
disk=
memory=
writer=
vm=/proc/sys/vm
settings='dirty_bytes dirty_background_bytes dirty_ratio dirty_background_ratio
    dirty_expire_centisecs dirty_writeback_centisecs'

# A value of 0 in a pair (bytes, ratio) says that the other one counts.
restore_limits()
{
    for setting in $settings; do
        [ -f "$scratch/$setting" ] || continue
        value=$(cat "$scratch/$setting")
        if [ "$value" != 0 ]; then
            echo "$value" >"$vm/$setting"
        fi
    done
}

stop_writer()
{
    if [ -n "$writer" ]; then
        touch "$scratch/stop"
        wait "$writer" || true
        rm -f "$scratch/stop" "$disk/written"
        writer=
    fi
}

finish()
{
    stop_writer
    restore_limits
    rm -rf "$scratch" ${disk:+"$disk"} ${memory:+"$memory"}
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM
disk=$(mktemp -d "${STALL_DISK-/var/tmp}/stall.XXXXXX")
memory=$(mktemp -d "${STALL_MEMORY-/dev/shm}/stall.XXXXXX")

write_on()
{
    while [ ! -e "$scratch/stop" ]; do
        dd if=/dev/zero of="$disk/written" bs=1M count=256 conv=notrunc,fsync 2>/dev/null
    done
}

lower_limits()
{
    for setting in $settings; do
        cat "$vm/$setting" >"$scratch/$setting"
    done
    { echo 8388608 >"$vm/dirty_bytes" && echo 4194304 >"$vm/dirty_background_bytes" &&
        echo 10 >"$vm/dirty_expire_centisecs" && echo 10 >"$vm/dirty_writeback_centisecs"; } 2>/dev/null
}

# One line: load, mode, where the recording is, and what the program says.
measure()
{
    variables='BENCH=1'
    case $2 in
    sampled) variables="LD_PRELOAD=$library" ;;
    each) variables="LD_PRELOAD=$library OFFHEAP_SAMPLE_BYTES=1" ;;
    exact) variables="LD_PRELOAD=$library OFFHEAP_EXACT=1" ;;
    esac
    case $3 in
    disk) where=$disk ;;
    *) where=$memory ;;
    esac
    # shellcheck disable=SC2086
    result=$(env OFFHEAP_DIR="$where" $variables "$scratch/stall" 2 "$seconds" "$blocks")
    rm -f "$where"/*.offheap
    # shellcheck disable=SC2086
    printf '%-8s %-8s %-6s %11s %8s %7s %6s %5s %5s %9s %6s %9s %9s\n' "$1" "$2" "$3" $result
}

cc -O2 -g -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -fno-builtin-malloc -o "$scratch/stall" \
    "$here/stall.c" -pthread
printf '%-8s %-8s %-6s %11s %8s %7s %6s %5s %5s %9s %6s %9s %9s\n' load mode in calls '>10us' \
    '>100us' '>1ms' '>10ms' '.1s' 'worst us' waits 'worst us' 'sum ms'
round=0
while [ "$round" -lt "${STALL_ROUNDS-1}" ]; do
    for load in ${STALL_LOADS-quiet writing limits}; do
        if [ "$load" = limits ] && ! lower_limits; then
            echo 'the limits of dirty memory cannot be lowered here: left out' >&2
            continue
        fi
        if [ "$load" != quiet ]; then
            write_on &
            writer=$!
            sleep 2
        fi
        measure "$load" plain -
        for mode in sampled each exact; do
            for where in disk memory; do
                measure "$load" "$mode" "$where"
            done
        done
        stop_writer
        restore_limits
    done
    round=$((round + 1))
done
