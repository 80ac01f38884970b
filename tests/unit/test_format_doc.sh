#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# test_format_doc.sh TREE: FORMAT.md names every structure, field and constant of format.h (R24), each
# field with the place and the type that it has there.

set -eu
header=$1/include/offheap/format.h
page=$1/include/offheap/FORMAT.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

# Comments away; then "name NAME" for each structure and enum and each constant of an enum or #define,
# and "field STRUCTURE NAME" for what stands before ';' or ',' in a structure, without array bounds.
sed 's|//.*||' "$header" | awk '
    /^#define OH_[A-Z_]+ / { print "name", $2 }
    /^#/ { next }
    /^(struct|enum) oh_[a-z_]+ *\{/ { print "name", $2; inside = $1; structure = $2 }
    /^enum \{/ { inside = "enum" }
    inside == "enum" {
        line = $0
        sub(/^enum[^{]*\{/, "", line)
        while (match(line, /OH_[A-Z0-9_]+/)) {
            word = substr(line, RSTART, RLENGTH)
            if (substr(line, RSTART + RLENGTH, 1) != "(" && word !~ /_$/) print "name", word
            line = substr(line, RSTART + RLENGTH)
            sub(/^[^,}]*/, "", line)
        }
    }
    inside == "struct" && /;/ && !/^\}/ {
        line = $0
        sub(/;.*/, "", line)
        gsub(/\[[^]]*\]/, "", line)
        count = split(line, parts, ",")
        for (i = 1; i <= count; i++) {
            last = split(parts[i], field, " ")
            print "field", structure, field[last]
        }
    }
    /\}/ { inside = "" }
' | sort -u >"$scratch/header"

awk '{ print $NF }' "$scratch/header" | sort -u >"$scratch/names"
while read -r name; do
    grep -qw -- "$name" "$page" || { echo "FORMAT.md does not name $name"; status=1; }
done <"$scratch/names"

# The rows of the page, "STRUCTURE FIELD AT TYPE", and the sizes in its headings, "STRUCTURE BYTES".
# (The two words of a block are told bit by bit.)
awk -F'|' -v sizes="$scratch/sizes" '
    /^#/ {
        structure = ""
        if (match($0, /struct oh_format_[a-z_]+/)) {
            structure = substr($0, RSTART + 7, RLENGTH - 7)
            line = $0
            gsub(/,/, "", line)
            if (match(line, /[0-9]+ bytes/))
                print structure, substr(line, RSTART, RLENGTH - 6) >sizes
        }
    }
    structure != "" && /^\| [0-9]/ && $3 !~ /`/ && $4 ~ /`/ {
        count = split($2, at, ",")
        names = $4
        gsub(/[` ]/, "", names)
        split(names, name, ",")
        gsub(/ /, "", $3)
        for (i = 1; i <= count; i++)
            print structure, name[i], at[i] + 0, $3
    }' "$page" >"$scratch/rows"

awk '$1 == "field" && $2 != "oh_format_block" && $3 !~ /^reserved/ { print $2, $3 }' \
    "$scratch/header" >"$scratch/wanted"
while read -r structure field; do
    grep -q "^$structure $field " "$scratch/rows" ||
        { echo "FORMAT.md does not say where $field of $structure is"; status=1; }
done <"$scratch/wanted"
if [ "$(wc -l <"$scratch/wanted")" -lt 80 ] || [ "$(wc -l <"$scratch/sizes")" -lt 10 ]; then
    echo "hardly any field or size was found: this check is broken"
    status=1
fi

{
    printf '#include "offheap/format.h"\n'
    printf 'typedef uint64_t u64;\ntypedef uint32_t u32;\ntypedef uint16_t u16;\ntypedef uint8_t u8;\n'
    for name in text section budget jemalloc range map_event; do
        printf 'typedef struct oh_format_%s %s;\n' "$name" "$name"
    done
    while read -r structure field at type; do
        case $type in
        *\[*) bytes="sizeof(${type%\[*}) * ${type#*\[}" && bytes=${bytes%\]} ;;
        *) bytes="sizeof($type)" ;;
        esac
        printf '_Static_assert(offsetof(struct %s, %s) == %s, "place in FORMAT.md");\n' \
            "$structure" "$field" "$at"
        printf '_Static_assert(sizeof(((struct %s *)0)->%s) == %s, "type in FORMAT.md");\n' \
            "$structure" "$field" "$bytes"
    done <"$scratch/rows"
    while read -r structure bytes; do
        printf '_Static_assert(sizeof(struct %s) == %s, "size in FORMAT.md");\n' "$structure" "$bytes"
    done <"$scratch/sizes"
} >"$scratch/page.c"
${CC:-cc} -std=c11 -fsyntax-only -I "$1/include" "$scratch/page.c" || status=1
exit $status
