#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# headers.sh TREE [CC]: every header compiles alone, without a warning.

. "$(dirname "$0")/common.sh"
cc=${2-cc}
cd "$1"
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

gcc_include=$(dirname "$("$cc" -print-file-name=libbacktrace.a)")/include
tree_files '*.h' include preload tools tests/support >"$scratch"
while read -r header; do
    case $header in
    tools/*) roots='-Itools -Ipreload -Iinclude' ;;
    tests/*) roots='-Itests -Itools -Ipreload -Iinclude' ;;
    *) roots='-Ipreload -Iinclude' ;;
    esac
    # shellcheck disable=SC2086
    if ! printf '#include "%s"\n' "$header" |
        "$cc" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wstrict-prototypes -Wundef -Werror \
            -fsyntax-only -I. $roots -isystem "$gcc_include" \
            ${OFFHEAP_LIBUNWIND:+-isystem "$OFFHEAP_LIBUNWIND/include"} -x c -; then
        fault "$header: does not compile alone"
    fi
done <"$scratch"
finish
