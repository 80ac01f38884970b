# SPDX-License-Identifier: Apache-2.0
#
# awk -f compare_maps.awk TRUTH RANGES: whether what show_maps prints of a recording is, page by page,
# what fixtures/c/map_random says that is mapped. Prints what differs.

function number(hex, i, n)
{
    for (i = 1; i <= length(hex); i++)
        n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
    return n
}

function differs(page, found)
{
    if (++differences <= 10)
        printf "page %.0f is recorded as %s, and is %s\n", page, found, \
            page in want ? want[page] : "none"
}

# A page's number as a subscript: left to itself awk rounds large ones.
BEGIN { CONVFMT = "%.17g" }

$1 == "run" {
    for (page = number($3) / 4096; page < number($4) / 4096; page++)
        want[page] = $2
    next
}

$1 ~ /^(mmap|reserve|shm|file)$/ {
    for (page = number($2) / 4096; page < number($3) / 4096; page++)
        got[page] = $1
}

END {
    for (page in want) {
        found = page in got ? got[page] : "none"
        if (want[page] == "unknown")
            continue
        if (want[page] == "any" ? found == "none" : want[page] == "foreign" ? found != "none" : \
            found != want[page])
            differs(page, found)
    }
    for (page in got)
        if (!(page in want))
            differs(page, got[page])
    if (length(want) == 0)
        print "there is no truth"
    if (differences != 0)
        print differences " pages differ"
}
