#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# calls.sh TREE LIBRARY: every function that the library takes from outside stands in calls.allow
# of the tree with a reason: no malloc, stdio, lock or locale unseen. A call of a
# symbol that the library itself hooks is looked for among the relocations. An entry NAME lets
# every function call NAME; NAME@CALLER only the one.

. "$(dirname "$0")/common.sh"
library=$2
nm -D "$library" >/dev/null || { fault "$library: cannot be read"; finish; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
allow=$1/tests/lint/calls.allow

awk '!/^#/ && NF == 1 { print FILENAME ": " $1 " has no reason" }' "$allow" >"$scratch/faults"
awk '!/^#/ && NF { print $1 }' "$allow" | sort >"$scratch/allowed"
{
    nm -D --undefined-only "$library" | awk '{ sub(/@.*/, "", $NF); print $NF }'
    readelf -rW "$library" |
        awk '$3 ~ /JUMP_SLO|GLOB_DAT|_64$/ && NF >= 5 { sub(/@.*/, "", $5); print $5 }' |
        grep -E '^[A-Za-z_]' || true
} | grep -v '^offheap_' | sort -u >"$scratch/called"

# Who calls what: pairs NAME@CALLER from the calls through the PLT, less the pairs and names allowed.
objdump -d --no-show-raw-insn "$library" | awk '
    /^[0-9a-f]+ <.*>:$/ { caller = $2; gsub(/[<>:]/, "", caller); sub(/\..*/, "", caller) }
    /@plt>/ && $2 ~ /^(call|jmp|bnd)/ {
        name = $NF
        gsub(/[<>]/, "", name)
        sub(/@plt.*/, "", name)
        print name "@" caller
    }' | sort -u >"$scratch/pairs"
comm -13 "$scratch/allowed" "$scratch/called" | while read -r name; do
    if grep "^$name@" "$scratch/pairs" >"$scratch/callers"; then
        comm -13 "$scratch/allowed" "$scratch/callers"
    else
        printf '%s\n' "$name"
    fi
done | sed 's/$/: called by the library, not in tests\/lint\/calls.allow/' >>"$scratch/faults"
fault_lines <"$scratch/faults"
finish
