#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# habits.sh TREE: words and constructs that do not belong into a source: open ends without an
# issue's number; variables in headers; atomics other than the named-order wrappers,
# volatile as synchronisation; stdio, locks, assertions and exits in the library.
# habits.allow of the tree names exceptions: FILE WORD REASON lets lines of FILE with WORD pass.

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Prints where $1 (an extended expression) occurs in the code of the files on standard input;
# $2 says what is wrong. Comments and string literals are not code.
in_code()
{
    while read -r file; do
        sed -e 's/"\([^"\\]\|\\.\)*"/""/g' -e 's,//.*,,' "$file" |
            grep -nE "$1" | sed -e "s|^|$file:|" -e "s|\$| ($2)|" || true
    done
}

{
    tree_files '*.c *.cc *.h *.S *.def *.go *.sh *.cmake CMakeLists.txt' \
        include preload tools tests fixtures cmake |
        grep -v '^tests/lint/' | xargs -r grep -nE '\b(TODO|FIXME|XXX)\b' |
        grep -vE '\b(TODO|FIXME|XXX)\(#[0-9]+\)' | sed 's/$/ (open end without an issue)/' || true

    tree_files '*.h' include preload tools |
        in_code '^extern [^(]*;' 'variable in a header'

    tree_files '*.c *.h' preload | grep -v '^preload/base/atomic\.h$' |
        in_code '\b(_Atomic|atomic_[a-z_]+|__sync_[a-z_]+|__atomic_[a-z_]+)\b' \
            'atomic operation without a wrapper of base/atomic.h'
    tree_files '*.c *.h' preload |
        in_code '\bvolatile\b' 'volatile' | grep -v 'volatile("\|__volatile__\|asm volatile' || true

    tree_files '*.c *.h' preload |
        in_code '# *include <(stdio|locale|wchar|assert|iconv)\.h>' 'not for code inside the host'
    tree_files '*.c' preload |
        in_code '\b(exit|_exit|abort|assert|printf|fprintf|snprintf|puts|strerror|perror)\(' \
            'not for code inside the host'
} >"$scratch/found"

awk '
    FILENAME ~ /habits\.allow$/ {
        if (NF > 2 && $0 !~ /^#/)
            allowed[$1, $2] = 1
        next
    }
    {
        pass = 0
        for (key in allowed) {
            split(key, part, SUBSEP)
            if (index($0, part[1] ":") == 1 && index($0, part[2]))
                pass = 1
        }
        if (!pass)
            print
    }' tests/lint/habits.allow "$scratch/found" >"$scratch/faults"
fault_lines <"$scratch/faults"
finish
