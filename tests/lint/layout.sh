#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# layout.sh TREE LIBRARY: what the library takes of each thread's stack is bounded, and no variable
# that every recorded event reads shares a cache line with one that is written meanwhile.
# Which variables are read so, and which others are as good as constant, stands in layout.list.

. "$(dirname "$0")/common.sh"
library=$2
nm "$library" >/dev/null || { fault "$library: cannot be read"; finish; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Thread-local storage lies on the stack of each thread of the host, the smallest of which is 16
# KiB.
MOST_OF_A_STACK=1024
tls=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
[ "$((${tls:-0}))" -le "$MOST_OF_A_STACK" ] ||
    fault "$library: $((tls)) bytes of thread-local storage, the bound is $MOST_OF_A_STACK"

# A hook that notes where it was called has its caller's frame above its own frame pointer.
# Realigned with an argument pointer in r10 it has not.
objdump -d --no-show-raw-insn "$library" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name) }
    /lea +0x8\(%rsp\),%r10/ { print name ": hides its caller, its stack is realigned by r10" }' \
    >"$scratch/realigned"
fault_lines <"$scratch/realigned"

nm -nS "$library" | awk '$3 ~ /^[bBdD]$/ { print $1, $2, $4 }' | awk '
    function number(hex, i, n) {
        for (i = 1; i <= length(hex); i++)
            n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
        return n
    }
    FNR == NR {
        if ($1 == "read" || $1 == "still")
            class[$2] = $1
        next
    }
    {
        count++
        sub(/(\.lto_priv)?(\.[0-9]+)*$/, "", $3) # Of one inside a function, or a file.
        name[count] = $3
        first[count] = int(number($1) / 64)
        last[count] = int((number($1) + number($2) - 1) / 64)
        seen[$3] = 1
    }
    END {
        for (i = 1; i <= count; i++) {
            if (class[name[i]] != "read")
                continue
            for (j = 1; j <= count; j++)
                if (i != j && first[j] <= last[i] && last[j] >= first[i] && class[name[j]] == "")
                    print "layout.list: " name[i] " is read by every recorded event and shares a " \
                        "cache line with " name[j] ": OH_OWN_LINES, or a word on it in the list"
        }
        for (word in class)
            if (class[word] == "read" && !(word in seen))
                print "layout.list: there is no variable " word
    }' "$1/tests/lint/layout.list" - | sort -u >"$scratch/faults"
fault_lines <"$scratch/faults"
finish
