# SPDX-License-Identifier: Apache-2.0
#
# Makes the table (standard output) and the JSON (the file `json`) of what rows.awk has read.

function derived(name, value, unit) {
    printf "%-52s %10.1f %s\n", name, value, unit
    printf "%s\n{\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\"}", comma, name, value, unit >json
    comma = ","
}

# What follows from the rows: a sample is an operation in which each allocation is one, less the plain
# one; a live block's memory is that of a run which keeps so many, less the same run in plain.
function derive(    i, workload, mode, bytes, name) {
    print ""
    split("pair deep cgo cgo1", wanted, " ")
    for (i = 1; i in wanted; i++) {
        workload = wanted[i]
        if (figure(workload, "each", "ns") != "")
            derived("one sample and its free, " workload,
                figure(workload, "each", "ns") - figure(workload, "plain", "ns"), "ns")
    }
    split("sampled exact heaptrack", kinds, " ")
    split("1000 10000 100000 1000000", wanted, " ")
    for (mode = 1; mode in kinds; mode++) {
        for (i = 1; i in wanted; i++) {
            workload = "keep" wanted[i]
            bytes = figure(workload, kinds[mode], "kib")
            if (bytes == "")
                continue
            # work keeps the blocks of its warm-up, a hundredth, too.
            name = "memory over plain, " wanted[i] " live blocks, " kinds[mode]
            derived(name, bytes, "KiB")
            if (kinds[mode] == "exact" && i > 1)
                derived(name ", for one block more", (bytes - figure("keep" wanted[i - 1],
                    kinds[mode], "kib")) * 1024 / (1.01 * (wanted[i] - wanted[i - 1])), "bytes")
        }
    }
    split("pair deep random", wanted, " ")
    for (i = 1; i in wanted; i++) {
        one = wanted[i] (wanted[i] == "random" ? "1" : "")
        if (figure(wanted[i] "2", "exact", "ratio") != "" && figure(one, "exact", "ratio") != "")
            derived("exact, ratio of 2 threads by that of 1, " wanted[i],
                figure(wanted[i] "2", "exact", "ratio") / figure(one, "exact", "ratio"), "")
    }
}

END {
    printf "%d rounds in %d s, load average at the start %s\n\n", rounds, seconds, load_before
    format = "%-11s %-14s %-9s %10s %7s %15s %9s %8s\n"
    printf format, "workload", "mode", "over", "time", "ratio", "least-greatest", "RSS +KiB", "instr."
    printf "{\"rounds\": %d, \"load\": %s, \"rows\": [", rounds, load_before >json
    for (i = 1; i <= count; i++) {
        key = keys[i]
        split(key, part, SUBSEP)
        n = collect(key, "ns")
        time = median(n)
        n = collect(key, "ratio")
        if (n == 0)
            continue
        ratio = median(n)
        least = sorted[1]
        greatest = sorted[n]
        n = collect(key, "kib")
        memory = median(n)
        known = (key in instructions) ? instructions[key] : ""
        if (part[1] != previous && i > 1)
            print ""
        previous = part[1]
        printf format, part[1], part[2], base[key], time_text(time), sprintf("%.2f", ratio),
            sprintf("%.2f-%.2f", least, greatest), sprintf("%.0f", memory),
            known
        row = sprintf("{\"workload\": \"%s\", \"mode\": \"%s\", \"base\": \"%s\"", part[1], part[2],
            base[key])
        row = row sprintf(", \"ns\": %.3f, \"ratio\": %.4f, \"least\": %.4f", time, ratio, least)
        row = row sprintf(", \"greatest\": %.4f, \"rss_kib\": %.0f", greatest, memory)
        if (known != "")
            row = row ", \"instructions\": " known
        printf "%s\n%s}", separator, row >json
        separator = ","
    }
    printf "\n], \"derived\": [" >json
    derive()
    print "\n]}" >json
}
