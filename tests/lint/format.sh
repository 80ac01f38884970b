#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# format.sh TREE: clang-format 14 has nothing to change (STYLE R40).

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

tree_files '*.c *.cc *.h' include preload tools tests fixtures >"$scratch"
while read -r file; do
    if ! clang-format-14 --dry-run --Werror "$file" >/dev/null 2>&1; then
        fault "$file: run clang-format-14 -i on it"
    fi
done <"$scratch"
finish
