#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# man.sh TREE: the manual pages are rendered without a warning. (A word such as At at the begin of a
# macro's line is a macro itself.)

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tree_files '*.[1-9]' man >"$scratch/pages"
while read -r page; do
    groff -mandoc -ww -Tutf8 -z "$page" 2>"$scratch/warnings" || fault "$page: groff fails"
    sed "s|^|$page: |" "$scratch/warnings"
done <"$scratch/pages" >"$scratch/faults"
fault_lines <"$scratch/faults"
finish
