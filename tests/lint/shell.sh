#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# shell.sh TREE: shellcheck finds nothing in the scripts.

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

tree_files '*.sh run' .ci tools tests fixtures >"$scratch"
while read -r file; do
    # Not asked: whether a variable is set or used elsewhere. The tests get theirs from ctest, and
    # lib.sh sets some for the scripts that source it.
    if ! shellcheck -x -P SCRIPTDIR -S style -e SC2034,SC2153 "$file"; then
        fault "$file: shellcheck complains"
    fi
done <"$scratch"
finish
