#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# licence.sh TREE: every source carries the SPDX line among its first three, and LICENSE is there.

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

{
    tree_files '*.c *.cc *.h *.S *.def *.go *.sh *.cmake CMakeLists.txt *.proto' \
        include preload tools tests fixtures cmake .ci
    echo CMakeLists.txt
} >"$scratch"
while read -r file; do
    if [ -f "$file" ] && ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0'; then
        fault "$file: no SPDX line among the first three"
    fi
done <"$scratch"
grep -q 'Apache License' LICENSE 2>/dev/null || fault "LICENSE: missing"
finish
