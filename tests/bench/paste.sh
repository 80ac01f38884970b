#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# paste.sh: puts build/bench/table.md, which run.sh left, between the marks of PERFORMANCE.md.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
document=$root/preload/PERFORMANCE.md
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

awk -v table="$root/build/bench/table.md" '
    /^<!-- end of the run -->$/ { inside = 0 }
    !inside { print }
    /^<!-- run.sh wrote what follows -->$/ {
        inside = 1
        while ((getline line < table) > 0)
            print line
        print ""
    }' "$document" >"$scratch"
cat "$scratch" >"$document"
