# SPDX-License-Identifier: Apache-2.0
#
# Compares what a fixture printed (its `truth` lines) with a profile as `go tool pprof -raw` shows
# it:
#
#   awk -f check_truth.awk [-v name=value]... TRUTH RAW
#
# Every case must be in the profile under its frames, with its labels, and with exactly its counts.
#   stripped=1   C functions have no names: only frames of Go count, and a case that has none is
#                found by its block size, or left out when it has several
#   nodwarf=1    inlined C functions (frames that end in `?`) have no names
#   rate=BYTES   the profile is an estimate: prints `z <case> <type> <standard errors off>` instead
#                of comparing
#   means=1      the same of a profile whose samples have means of their own: by the errors that
#                these give instead of the ones of a rate
#   only=REGEX   looks at the cases whose names match
# Prints `ok <cases>`, or a FAIL line for each thing that is wrong and exits 1.

function fail(text)
{
    print "FAIL " text
    failures++
}

# A frame pattern of a truth line as a regular expression.
function pattern_of(frame,    i, c, out)
{
    if (frame in patterns)
        return patterns[frame]
    for (i = 1; i <= length(frame); i++) {
        c = substr(frame, i, 1)
        if (c == "*")
            out = out ".*"
        else if (index("[](){}.+?^$|\\", c))
            out = out "\\" c
        else
            out = out c
    }
    patterns[frame] = "^" out "$"
    return patterns[frame]
}

function value_of(field)
{
    return substr(field, index(field, "=") + 1)
}

# The frames of a truth line that this build can show.
function shown_frames(list,    all, n, i, frame, out)
{
    n = split(list, all, ",")
    for (i = 1; i <= n; i++) {
        frame = all[i]
        if (frame ~ /\?$/) {
            if (nodwarf || stripped)
                continue
            frame = substr(frame, 1, length(frame) - 1)
        }
        if (stripped && index(frame, ".") == 0)
            continue
        out = out (out == "" ? "" : ",") frame
    }
    return out
}

# Whether all blocks of the case have one size.
function is_uniform(c)
{
    return want[c, 2] * want[c, 3] == want[c, 4] * want[c, 1] && want[c, 2] % want[c, 1] == 0
}

function read_truth(    rest, i)
{
    if (only != "" && $2 !~ only)
        return
    cases++
    case_name[cases] = $2
    # C++ names hold spaces: the frames are the rest of the line.
    rest = $0
    sub(/^.* frames=/, "", rest)
    frames[cases] = shown_frames(rest)
    for (i = 3; i <= NF; i++) {
        if ($i ~ /^kind=/)
            kind[cases] = value_of($i)
        else if ($i ~ /^phase=/)
            phase[cases] = value_of($i)
        else if ($i ~ /^init_package=/)
            init_package[cases] = value_of($i)
        else if ($i ~ /^alloc_objects=/)
            want[cases, 1] = value_of($i)
        else if ($i ~ /^alloc_bytes=/)
            want[cases, 2] = value_of($i)
        else if ($i ~ /^inuse_objects=/)
            want[cases, 3] = value_of($i)
        else if ($i ~ /^inuse_bytes=/)
            want[cases, 4] = value_of($i)
    }
    if (frames[cases] == "" && !is_uniform(cases))
        cases--
}

function read_labels(    i, colon, key, text)
{
    for (i = 1; i <= NF; i++) {
        colon = index($i, ":[")
        if (colon == 0)
            continue
        key = substr($i, 1, colon - 1)
        text = substr($i, colon + 2)
        sub(/]$/, "", text) # A number with a unit has it in the next field.
        label[samples, key] = text
    }
}

function read_sample(    i, colon)
{
    samples++
    for (i = 1; i <= 4; i++) {
        got[samples, i] = $i + 0
    }
    colon = index($0, ": ")
    places[samples] = colon ? substr($0, colon + 2) : ""
}

# The variance of the n objects of so many bytes in all, by the mean that the sample has for them.
function variance_of(sample, key, n, bytes,    mean)
{
    mean = label[sample, key] + 0
    if (n == 0 || mean == 0)
        return 0
    return n / (exp(bytes / n / mean) - 1)
}

# One line of a location: its function's name goes to the end of that location's list.
function read_function(text)
{
    sub(/ s=[0-9]+(\(.*\))?$/, "", text)
    sub(/ [^ ]*$/, "", text)
    functions[place] = functions[place] (functions[place] == "" ? "" : "\n") text
}

function read_location(    text)
{
    text = $0
    if (text ~ /^ *[0-9]+: 0x/) {
        place = $1
        sub(/:$/, "", place)
        sub(/^ *[0-9]+: 0x[0-9a-f]+ /, "", text)
        sub(/^M=[0-9]+ /, "", text)
    } else {
        sub(/^ +/, "", text)
    }
    if (text != "")
        read_function(text)
}

FNR == 1 { file++ }
file == 1 && $1 == "truth" { read_truth() }
file == 1 { next }

/^PeriodType:/ && $0 != "PeriodType: space bytes" { fail("header: " $0) }
/^Samples:/ { section = "samples"; next }
/^Locations/ { section = "locations"; next }
/^Mappings/ { section = "mappings"; next }
section == "samples" && /^alloc_objects/ {
    sub(/\[dflt\]/, "")
    if ($0 != "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes")
        fail("header: " $0)
    next
}
section == "samples" && /^ *-?[0-9]+ +-?[0-9]+ +-?[0-9]+ +-?[0-9]+: / { read_sample(); next }
section == "samples" { read_labels() }
section == "locations" { read_location() }

# The stack of a sample, leaf first, one name a line.
function stack_of(sample,    ids, n, i, out)
{
    n = split(places[sample], ids, " ")
    for (i = 1; i <= n; i++)
        out = out (i == 1 ? "" : "\n") functions[ids[i]]
    return out
}

# Whether the names of the truth line stand in this order on the stack.
function has_frames(truth_frames, stack,    names, n, wanted, m, i, next_wanted)
{
    n = split(stack, names, "\n")
    m = split(truth_frames, wanted, ",")
    next_wanted = 1
    for (i = 1; i <= n && next_wanted <= m; i++) {
        if (names[i] ~ pattern_of(wanted[next_wanted]))
            next_wanted++
    }
    return next_wanted > m
}

function is_phase(sample, c,    all, n, i)
{
    n = split(phase[c], all, "|")
    for (i = 1; i <= n; i++) {
        if (label[sample, "phase"] == all[i])
            return 1
    }
    return 0
}

function labels_fit(sample, c)
{
    return label[sample, "kind"] == kind[c] && is_phase(sample, c) &&
           (init_package[c] == "*" || label[sample, "init_package"] == init_package[c])
}

function labels_text(sample)
{
    return "kind=" label[sample, "kind"] " phase=" label[sample, "phase"] \
           " init_package=" label[sample, "init_package"] " bytes=" label[sample, "bytes"]
}

function one_line(stack)
{
    gsub(/\n/, " < ", stack)
    return stack
}

function stack_fits(sample, c)
{
    if (frames[c] != "")
        return has_frames(frames[c], stack[sample])
    return want[c, 1] > 0 && label[sample, "bytes"] == want[c, 2] / want[c, 1]
}

function add_error(c, i, sample, key,    variance, size)
{
    variance = variance_of(sample, key, got[sample, i], got[sample, i + 1])
    size = got[sample, i] ? got[sample, i + 1] / got[sample, i] : 0
    squares[c, i] += variance
    squares[c, i + 1] += variance * size * size
}

# Adds a sample to the one case that it belongs to.
function assign(sample,    c, by_stack, owner)
{
    for (c = 1; c <= cases; c++) {
        if (!stack_fits(sample, c))
            continue
        by_stack = c
        if (!labels_fit(sample, c))
            continue
        if (owner)
            fail(case_name[c] ": a sample is also " case_name[owner] "'s: " one_line(stack[sample]))
        owner = c
    }
    if (by_stack && !owner) {
        fail(case_name[by_stack] ": labels " labels_text(sample) ", want kind=" kind[by_stack] \
             " phase=" phase[by_stack] " init_package=" init_package[by_stack])
        return
    }
    if (owner) {
        found[owner]++
        for (c = 1; c <= 4; c++)
            sum[owner, c] += got[sample, c]
        if (means) {
            add_error(owner, 1, sample, "alloc_mean")
            add_error(owner, 3, sample, "inuse_mean")
        }
    }
}

function check_sample(sample)
{
    if (label[sample, "heap"] != "unmanaged")
        fail("a sample without heap=unmanaged: " one_line(stack[sample]))
    if (label[sample, "phase"] == "main" && (sample, "init_package") in label)
        fail("init_package on phase=main: " one_line(stack[sample]))
    if (got[sample, 1] < got[sample, 3] || got[sample, 2] < got[sample, 4] || got[sample, 3] < 0 ||
        got[sample, 4] < 0)
        fail("values of " one_line(stack[sample]))
    if (stack[sample] == "" || stack[sample] ~ /(^|\n)(\n|$)/)
        fail("a frame without a name: " one_line(stack[sample]))
}

# What the profile holds that might have been the case that was not found.
function explain(c,    sample, shown)
{
    for (sample = 1; sample <= samples && shown < 3; sample++) {
        if (want[c, 1] > 0 && label[sample, "bytes"] == want[c, 2] / want[c, 1]) {
            print "     there is " labels_text(sample) ": " one_line(stack[sample])
            shown++
        }
    }
}

function compare_exact(c,    i)
{
    if (!found[c] && want[c, 1] > 0) {
        fail(case_name[c] ": not in the profile: " frames[c])
        explain(c)
        return
    }
    for (i = 1; i <= 4; i++) {
        if (sum[c, i] + 0 != want[c, i] + 0)
            fail(case_name[c] ": " types[i] " is " sum[c, i] + 0 ", want " want[c, i])
    }
}

# By the errors that the samples have themselves; those of fewer than fifty samples are no measure.
function compare_by_means(c,    i, size)
{
    for (i = 1; i <= 4; i++) {
        if (want[c, i] == 0 || squares[c, i] == 0 || sum[c, i] ^ 2 < 50 * squares[c, i])
            continue
        size = want[c, i % 2 ? i + 1 : i] / want[c, i % 2 ? i : i - 1]
        if (i % 2 && size != int(size))
            continue
        printf "z %s %s %.3f\n", case_name[c], types[i], (sum[c, i] - want[c, i]) / sqrt(squares[c, i])
    }
}

# How many standard errors the estimate is off. With blocks of s bytes taken with probability
# p = 1 - exp(-s / rate), each block adds (1 - p) / p to the variance of the count. For blocks of
# mixed sizes the count's error is not known from the mean, so only the bytes are compared. Cases of
# which fewer than twenty samples are expected are left out: their errors have another distribution.
function compare_estimate(c,    i, size, odds, variance)
{
    for (i = 1; i <= 4; i++) {
        if (want[c, i] == 0)
            continue
        size = want[c, i % 2 ? i + 1 : i] / want[c, i % 2 ? i : i - 1]
        if (i % 2 && size != int(size))
            continue
        odds = 1 / (exp(size / rate) - 1)
        if (want[c, i % 2 ? i : i - 1] / (1 + odds) < 20)
            continue
        variance = i % 2 ? want[c, i] * odds : want[c, i] * size * odds
        if (variance > 0)
            printf "z %s %s %.3f\n", case_name[c], types[i], (sum[c, i] - want[c, i]) / sqrt(variance)
    }
}

END {
    split("alloc_objects alloc_bytes inuse_objects inuse_bytes", types, " ")
    if (cases == 0)
        fail("no truth line")
    if (section != "mappings")
        fail("not a profile")
    for (sample = 1; sample <= samples; sample++) {
        stack[sample] = stack_of(sample)
        check_sample(sample)
        assign(sample)
    }
    for (c = 1; c <= cases; c++) {
        if (means)
            compare_by_means(c)
        else if (rate)
            compare_estimate(c)
        else
            compare_exact(c)
    }
    if (!failures)
        print "ok " cases
    exit failures != 0
}
