# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the checks of this folder share. A check prints one line per fault, file first, and ends
# with finish. Every check takes the tree to look at as its first argument, so that selftest.sh
# can show it a tree with a fault.

set -eu

faults=0

# One fault: where, and what is wrong.
fault()
{
    printf '%s\n' "$*"
    faults=$((faults + 1))
}

finish()
{
    if [ "$faults" -ne 0 ]; then
        printf '%s\n' "$(basename "$0"): $faults fault(s)" >&2
        exit 1
    fi
    exit 0
}

# Counts every line of standard input as a fault and prints it.
fault_lines()
{
    while IFS= read -r line; do
        fault "$line"
    done
}

# Files below the folders given as $2..., by name patterns in $1, relative to the tree.
tree_files()
{
    patterns=$1
    shift
    set -f
    for folder in "$@"; do
        [ -d "$folder" ] || continue
        for pattern in $patterns; do
            find "$folder" -type f -name "$pattern"
        done
    done | sort
    set +f
}
