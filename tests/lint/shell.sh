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
    # Which checks are optional is written down in each script; sourced files are looked up
    # beside the script.
    if ! shellcheck -x -P SCRIPTDIR -S style "$file"; then
        fault "$file: shellcheck complains"
    fi
done <"$scratch"
finish
