#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/paste.sh
#
# Puts build/bench/table.md, which run.sh left, between the marks of PERFORMANCE.md.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
document=$root/preload/PERFORMANCE.md
table=$root/build/bench/table.md
if [ ! -s "$table" ]; then
    echo "paste.sh: there is no $table: sh tests/bench/run.sh writes it" >&2
    exit 1
fi
if [ "$(grep -cxE '<!-- (run.sh wrote what follows|end of the run) -->' "$document")" -ne 2 ]; then
    echo "paste.sh: $document has not its two marks" >&2
    exit 1
fi
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

awk -v table="$table" '
    /^<!-- end of the run -->$/ { inside = 0 }
    !inside { print }
    /^<!-- run.sh wrote what follows -->$/ {
        inside = 1
        while ((getline line < table) > 0)
            print line
        print ""
    }' "$document" >"$scratch"
cat "$scratch" >"$document"
