#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sizes.sh TREE: sources have at most 600 lines, headers 250, functions 60. A function
# is counted from its opening to its closing brace, both in the first column as .clang-format
# puts them. sizes.allow of the tree names what may be longer, and why:
#   FILE lines LIMIT REASON        FILE functions LIMIT REASON

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The limit of $1 for $2: the one that sizes.allow gives, else $3.
limit()
{
    allowed=$(awk -v file="$1" -v what="$2" '$1 == file && $2 == what && NF > 3 { print $3 }' \
        tests/lint/sizes.allow 2>/dev/null || true)
    printf '%s\n' "${allowed:-$3}"
}

tree_files '*.c *.h *.S' include preload tools tests fixtures >"$scratch/files"
while read -r file; do
    lines=600
    case $file in
    *.h) lines=250 ;;
    esac
    lines=$(limit "$file" lines "$lines")
    functions=$(limit "$file" functions 60)
    awk -v file="$file" -v lines="$lines" -v limit="$functions" '
        /^\{/ { start = NR; name = previous }
        /^\}/ && start {
            if (NR - start + 1 > limit)
                print file ":" start ": function of " NR - start + 1 " lines: " name
            start = 0
        }
        { previous = $0 }
        END {
            if (NR > lines)
                print file ": " NR " lines, the limit is " lines
        }' "$file"
done <"$scratch/files" >"$scratch/faults"
fault_lines <"$scratch/faults"
finish
