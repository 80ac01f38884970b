# SPDX-License-Identifier: Apache-2.0
#
# Makes of what rows.awk has read the part of PERFORMANCE.md that one run fills: the ratios, the
# memory, the instructions, what follows from them, and how that stands against the bars. Variables:
# rounds, seconds, load_before, machine, commit.

function cell(workload, mode,    key, n) {
    key = workload SUBSEP mode
    if (!(key in base) || (n = collect(key, "ratio")) == 0)
        return ""
    return sprintf("%.2f (%.2f-%.2f)", median(n), sorted[1], sorted[n])
}

# A table head of the columns first and list, a text of words.
function head(first, list,    n, i, words, line) {
    n = split(list, words, " ")
    line = "|---|"
    printf "\n| %s |", first
    for (i = 1; i <= n; i++) {
        printf " %s |", words[i]
        line = line "---|"
    }
    printf "\n%s\n", line
}

# One row a workload: the time of plain, then ratios with the least and the greatest.
function ratios(    i, mode, n, part, row, kinds) {
    n = split("forward sampled exact heaptrack jemalloc-prof tcmalloc-prof", kinds, " ")
    print "\n### Ratios to the same program without the tool"
    head("workload", "plain forward sampled exact heaptrack jemalloc-prof tcmalloc-prof")
    for (i = 1; i <= count; i++) {
        split(keys[i], part, SUBSEP)
        if (part[2] != "plain" || part[1] ~ /^keep/)
            continue
        row = "| " part[1] " | " time_text(figure(part[1], "plain", "ns")) " |"
        for (mode = 1; mode <= n; mode++)
            row = row " " cell(part[1], kinds[mode]) " |"
        print row
    }
}

# The peak of the resident memory over that of plain.
function memory(    i, mode, n, part, kinds, value) {
    n = split("sampled exact heaptrack jemalloc-prof tcmalloc-prof", kinds, " ")
    print "\n### Peak resident memory over the program without the tool, KiB"
    head("workload", "sampled exact heaptrack jemalloc-prof tcmalloc-prof")
    for (i = 1; i <= count; i++) {
        split(keys[i], part, SUBSEP)
        if (part[2] != "plain" || part[1] == "mmap")
            continue
        printf "| %s |", part[1]
        for (mode = 1; mode <= n; mode++) {
            value = figure(part[1], kinds[mode], "kib")
            if (value != "")
                value = sprintf("%.0f", value)
            printf " %s |", value
        }
        print ""
    }
}

function counted(    i, mode, n, m, names, kinds, key, text) {
    n = split("pair deep calloc aligned resize leak", names, " ")
    m = split("forward sampled exact", kinds, " ")
    print "\n### Instructions of one operation"
    head("workload", "plain forward sampled exact")
    for (i = 1; i <= n; i++) {
        if (!((names[i], "plain") in instructions))
            continue
        printf "| %s | %.1f |", names[i], instructions[names[i], "plain"]
        for (mode = 1; mode <= m; mode++) {
            key = names[i] SUBSEP kinds[mode]
            text = ""
            if (key in instructions)
                text = sprintf("%+.1f", instructions[key] - instructions[names[i], "plain"])
            printf " %s |", text
        }
        print ""
    }
}

# A row of the bars: value has to be at most must, better at most goal; "" is not known.
function bar(name, must, goal, value, digits,    verdict, format) {
    if (value == "" || must == "")
        return
    verdict = "**missed**"
    if (value <= must)
        verdict = "must met"
    if (value <= goal)
        verdict = "goal met"
    format = "%." digits "f"
    printf "| %s | " format " | " format " | " format " | %s |\n", name, must, goal, value, verdict
}

function ratio(workload, mode) {
    return figure(workload, mode, "ratio")
}

# What mode takes over plain, in nanoseconds divided by unit.
function over(workload, mode, unit) {
    if (figure(workload, mode, "ns") == "")
        return ""
    return (figure(workload, mode, "ns") - figure(workload, "plain", "ns")) / unit
}

function quotient(above, below) {
    if (above == "" || below == "")
        return ""
    return above / below
}

function bytes_a_block(blocks) {
    # work keeps the blocks of its warm-up, a hundredth, too.
    return quotient(figure("keep" blocks, "exact", "kib"), 1.01 * blocks / 1024)
}

function bars_sampled(    i, n, programs, sum, floor, floors, known, value) {
    bar("sampled, pair", 1.25, 1.20, ratio("pair", "sampled"), 2)
    bar("sampled, deep", 1.15, 1.12, ratio("deep", "sampled"), 2)
    bar("the same with 10,000 live samples, pair", 1.25, 1.20, ratio("pair+live", "sampled"), 2)
    bar("the same with 10,000 live samples, deep", 1.15, 1.12, ratio("deep+live", "sampled"), 2)
    n = split("cc1 sqlite python jq xmllint redis cgo cgo1", programs, " ")
    for (i = 1; i <= n; i++) {
        value = ratio(programs[i], "sampled")
        floor = ratio(programs[i], "forward")
        bar("sampled, " programs[i], 1.05, 1.05, value, 3)
        if (value != "" && floor != "") {
            sum += log(value)
            floors += log(floor)
            known++
        }
    }
    if (known) {
        bar("sampled, geometric mean of these " known, 1.05, 1.02, exp(sum / known), 3)
        bar("the same over forward, which only forwards", 1.05, 1.02, exp((sum - floors) / known), 3)
    }
    bar("one sample and its free, us: cgo", 1.5, 0.8, over("cgo", "each", 1000), 2)
    bar("one sample and its free, us: cgo1", 1.5, 0.8, over("cgo1", "each", 1000), 2)
}

# Not bars of exact mode one by one, but what it is for: to be below heaptrack everywhere.
function bars_heaptrack(    i, n, names, value) {
    n = split("jq xmllint redis cgo cgo1 calloc aligned resize realloc large heap random1 leak", names, " ")
    for (i = 1; i <= n; i++) {
        value = ratio(names[i], "heaptrack")
        bar("exact, " names[i] "; must: heaptrack", value, value, ratio(names[i], "exact"), 2)
    }
}

function bars_exact() {
    bar("exact, pair; must: heaptrack", ratio("pair", "heaptrack"), 8, ratio("pair", "exact"), 2)
    bar("exact, deep; must: heaptrack", ratio("deep", "heaptrack"), 10, ratio("deep", "exact"), 2)
    bar("exact, python", 5, 4, ratio("python", "exact"), 2)
    bar("exact, sqlite", 1.8, 1.5, ratio("sqlite", "exact"), 2)
    bar("exact, cc1", 1.5, 1.35, ratio("cc1", "exact"), 2)
    bar("exact, ratio of random2 by that of random1", 1, 1,
        quotient(ratio("random2", "exact"), ratio("random1", "exact")), 2)
    bar("exact, ratio of pair2 by that of pair", 1, 1,
        quotient(ratio("pair2", "exact"), ratio("pair", "exact")), 2)
    bar("exact, random2; goal: half of heaptrack", ratio("random2", "heaptrack"),
        ratio("random2", "heaptrack") / 2, ratio("random2", "exact"), 2)
}

function bars_memory() {
    bar("sampled, 10,000 live samples, MiB", 4, 2,
        quotient(figure("pair+live", "sampled", "kib"), 1024), 2)
    bar("exact, fixed (1,000 blocks), MiB", 16, 16,
        quotient(figure("keep1000", "exact", "kib"), 1024), 2)
    bar("exact, bytes a live block, 100,000 of them", 48, 32, bytes_a_block(100000), 1)
    bar("exact, bytes a live block, 1,000,000 of them", 48, 32, bytes_a_block(1000000), 1)
    bar("start of a process, sampled, ms", 1, 0.3, over("start", "sampled", 1e6), 2)
    bar("start of a process, exact, ms", 1, 0.3, over("start", "exact", 1e6), 2)
}

END {
    printf "%d rounds in %d s, load average at the start %s; commit %s; %s.\n", rounds, seconds,
        load_before, commit, machine
    ratios()
    memory()
    counted()
    print "\n### Against the bars"
    head("bar: at most", "must goal measured verdict")
    bars_sampled()
    bars_exact()
    bars_heaptrack()
    bars_memory()
}
