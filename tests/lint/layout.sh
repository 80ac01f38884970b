#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# layout.sh TREE LIBRARY: what the library takes of each thread's stack is bounded, and no variable
# that every recorded event reads shares a cache line with one that is written meanwhile.
# Which variables are read so stands in layout.list.

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

# The section of OH_READ_MOSTLY: address and size. What is in the list lies in it, or has its cache lines
# to itself (OH_OWN_LINES); at the section's edges nothing else may share a line with it.
section=$(readelf -SW "$library" | sed -n 's/^ *\[ *[0-9]*\] oh_read_mostly *[A-Z]* *\([0-9a-f]*\) [0-9a-f]* \([0-9a-f]*\) .*/\1 \2/p')
nm -nS "$library" | awk '$3 ~ /^[bBdD]$/ { print $1, $2, $4 }' | awk -v section="$section" '
    function number(hex, i, n) {
        for (i = 1; i <= length(hex); i++)
            n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
        return n
    }
    function shares(i, j) { return first[j] <= last[i] && last[j] >= first[i] }
    FNR == NR {
        if ($1 !~ /^#/ && NF)
            listed[$1] = 1
        next
    }
    {
        count++
        sub(/(\.lto_priv)?(\.[0-9]+)*$/, "", $3) # Of one inside a function, or a file.
        name[count] = $3
        begin[count] = number($1)
        first[count] = int(begin[count] / 64)
        last[count] = int((begin[count] + number($2) - 1) / 64)
        seen[$3] = 1
    }
    END {
        split(section, part, " ")
        from = number(part[1])
        to = from + number(part[2])
        for (i = 1; i <= count; i++)
            inside[i] = begin[i] >= from && begin[i] < to
        for (i = 1; i <= count; i++) {
            for (j = 1; j <= count; j++) {
                if (i == j || !shares(i, j) || inside[j])
                    continue
                if (inside[i])
                    print "oh_read_mostly: " name[i] " shares a cache line with " name[j] " outside of it"
                else if (name[i] in listed)
                    print "layout.list: " name[i] " is read by every recorded event and shares a " \
                        "cache line with " name[j] ": OH_READ_MOSTLY, or OH_OWN_LINES"
            }
        }
        for (word in listed)
            if (!(word in seen))
                print "layout.list: there is no variable " word
    }' "$1/tests/lint/layout.list" - | sort -u >"$scratch/faults"
fault_lines <"$scratch/faults"
finish
