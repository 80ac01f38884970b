#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# floors.sh TREE: every #include "..." of preload/, tools/ and include/ stays on its floor or goes
# down, as floors.txt of the tree cuts them; no .c file is included; and no name
# means two headers, one in tools/ and one in preload/.

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

# The folder and the file that an include line of $1 means: its own root first, then the others.
resolve()
{
    case $1 in
    tools/*) roots='tools preload include' ;;
    preload/*) roots='preload include' ;;
    *) roots='include' ;;
    esac
    for r in $roots; do
        if [ -f "$r/$2" ]; then
            printf '%s\n' "$r/$2"
            return
        fi
    done
}

tree_files '*.c *.h *.S' include preload tools >"$scratch"
while read -r file; do
    folder=$(dirname "$file")
    allowed=$(sed -n "s|^$folder:||p" tests/lint/floors.txt)
    if ! grep -q "^$folder:" tests/lint/floors.txt && [ "$folder" != include ]; then
        fault "$file: the folder $folder has no floor in tests/lint/floors.txt"
        continue
    fi
    # Header names have no blanks.
    # shellcheck disable=SC2013
    for name in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file"); do
        target=$(resolve "$file" "$name")
        if [ -z "$target" ]; then
            fault "$file: \"$name\" is below none of the include roots of its tree"
            continue
        fi
        case $name in
        *.c) fault "$file: includes the source file $name" ;;
        esac
        case " $folder $allowed " in
        *" $(dirname "$target") "*) ;;
        *) fault "$file: includes $target, which is not on a lower floor" ;;
        esac
    done
done <"$scratch"

for header in $(cd tools && find . -name '*.h'); do
    if [ -f "preload/$header" ]; then
        fault "tools/${header#./}: preload/ has a header of the same name"
    fi
done
finish
