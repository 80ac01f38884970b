#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# test_format_doc.sh TREE: FORMAT.md names every structure, field and constant of format.h (R24).

set -eu
header=$1/include/offheap/format.h
page=$1/include/offheap/FORMAT.md
status=0

# Comments away; then the names of structures and enums, the constants of the enums and of #define,
# and the fields: what stands before ';' or ',' in a structure, without its array bounds.
names()
{
    sed 's|//.*||' "$header" | awk '
        /^#define OH_[A-Z_]+ / { print $2 }
        /^#/ { next }
        /^(struct|enum) oh_[a-z_]+ *\{/ { print $2; inside = $1 }
        /^enum \{/ { inside = "enum" }
        inside == "enum" {
            line = $0
            sub(/^enum[^{]*\{/, "", line)
            while (match(line, /OH_[A-Z0-9_]+/)) {
                word = substr(line, RSTART, RLENGTH)
                if (substr(line, RSTART + RLENGTH, 1) != "(" && word !~ /_$/) print word
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
                print field[last]
            }
        }
        /\}/ { inside = "" }
    ' | sort -u
}

count=0
for name in $(names); do
    count=$((count + 1))
    grep -qw -- "$name" "$page" || { echo "FORMAT.md does not name $name"; status=1; }
done
if [ "$count" -lt 100 ]; then
    echo "only $count names found in format.h: this check is broken"
    status=1
fi
exit $status
