#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# format.sh TREE: clang-format 14 has nothing to change.

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

tree_files '*.c *.cc *.h' include preload tools tests fixtures >"$scratch"
faulty=$(xargs clang-format-14 --dry-run --Werror <"$scratch" 2>&1 |
    sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error:.*/\1/p' | sort -u)
for file in $faulty; do
    fault "$file: run clang-format-14 -i on it"
done
finish
