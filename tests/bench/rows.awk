# SPDX-License-Identifier: Apache-2.0
#
# Reads run.sh's single measurements, for table.awk and markdown.awk:
#   WORKLOAD MODE BASE ROUND NANOSECONDS KIB ...      WORKLOAD MODE instructions COUNT

$3 == "instructions" {
    instructions[$1, $2] = $4
    next
}

{
    key = $1 SUBSEP $2
    if (!(key in base)) {
        keys[++count] = key
        base[key] = $3
    }
    ns[key, $4] = $5
    kib[key, $4] = $6
    if ($4 > last)
        last = $4
}

# Puts into sorted[1..n] what the rounds of one key gave; returns n.
function collect(key, what,    round, n, at, value, reference) {
    n = 0
    reference = key
    sub(SUBSEP ".*", "", reference)
    reference = reference SUBSEP base[key]
    for (round = 1; round <= last; round++) {
        if (!((key, round) in ns))
            continue
        if (what != "ns" && !((reference, round) in ns))
            continue
        if (what == "ns")
            value = ns[key, round]
        else if (what == "ratio")
            value = ns[key, round] / ns[reference, round]
        else
            value = kib[key, round] - kib[reference, round]
        for (at = ++n; at > 1 && sorted[at - 1] > value; at--)
            sorted[at] = sorted[at - 1]
        sorted[at] = value
    }
    return n
}

function median(n) {
    return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function time_text(value) {
    if (value >= 1e6)
        return sprintf("%.1f ms", value / 1e6)
    return sprintf("%.1f ns", value)
}

# The median of what the rounds of workload and mode gave: nanoseconds, or KiB over `base`.
function figure(workload, mode, what) {
    if (!((workload SUBSEP mode) in base) || collect(workload SUBSEP mode, what) == 0)
        return ""
    return median(collect(workload SUBSEP mode, what))
}
