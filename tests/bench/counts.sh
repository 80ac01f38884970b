#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# counts.sh LIBRARY [CC]: what the fast paths add to calls that are not sampled, in instructions. More
# than 26 a pair of malloc and free is a fault: 14 go to forwarding alone, and 12 to a countdown
# in the one and a look at the filter in the other. calloc has its multiplication besides, and
# realloc is both in one call. Counts repeat; times would not.
# Exit status 77: there is no valgrind.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/common.sh"
library=$1
cc=${2-cc}

command -v valgrind >/dev/null 2>&1 || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build_workloads "$here" "$work" "$cc"

# Nothing is sampled: the mean is as long as it can be. One run in some hundred has a sample
# nevertheless, and counts its cost; so the lower of two counts holds.
added()
{
    plain=$(instructions "$work" "$1" 0 BENCH=1)
    for try in 1 2; do
        instructions "$work" "$1" 0 LD_PRELOAD="$library" OFFHEAP_SAMPLE_BYTES=1073741824 \
            OFFHEAP_DIR="$work"
    done | awk -v plain="$plain" '
        NR == 1 || $1 < least { least = $1 }
        END { printf "%.0f\n", least - plain }'
}

result=0

# The workload $1, called $2, must not add more than $3.
check()
{
    count=$(added "$1")
    echo "instructions added: $2 $count (limit $3)"
    [ "$count" -le "$3" ] || result=1
}

check leak malloc 8
check pair 'malloc and free' 26
check calloc 'calloc and free' 28
check resize realloc 24
exit $result
