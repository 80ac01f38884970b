#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exports.sh TREE LIBRARY: the library exports exactly the symbols of hooks.def and offheap_*.

. "$(dirname "$0")/common.sh"
library=$2
nm -D "$library" >/dev/null || { fault "$library: cannot be read"; finish; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

sed -nE 's/^OH_HOOK(_RAW)?\(([A-Za-z0-9_]*)\).*/\2/p' "$1/include/offheap/hooks.def" | sort \
    >"$scratch/hooks"
nm -D --defined-only "$library" | awk '{ sub(/@.*/, "", $NF); print $NF }' | grep -v '^offheap_' |
    sort >"$scratch/exports" || true

comm -23 "$scratch/hooks" "$scratch/exports" | sed 's/$/: in hooks.def but not exported/' \
    >"$scratch/faults"
comm -13 "$scratch/hooks" "$scratch/exports" | sed 's/$/: exported but not in hooks.def/' \
    >>"$scratch/faults"
fault_lines <"$scratch/faults"
finish
