# SPDX-License-Identifier: Apache-2.0
#
# Checks the decoded text of a profile (protoc --decode=pprof.Profile) field by field:
#
#   awk -f check_profile.awk [-v exe=PATH] [-v build_id=HEX] TEXT
#
# What it asks for is what makes a profile merge with Go's heap profiles and pass the servers that
# take profiles: dense ids in order, complete references, the four sample types, names everywhere.

function fail(what)
{
    print "FAIL " what
    failures++
}

# One field of one message. Proto3 leaves out what is zero.
function note(path, key, value)
{
    if (path == "" && key == "string_table") {
        sub(/^"/, "", value)
        sub(/"$/, "", value)
        strings[string_count++] = value
    } else if (path == "") {
        top[key] = value
        if (key == "comment")
            comments++
    } else if (path == "sample_type" || path == "period_type") {
        types[path, index_of[path], key] = value
    } else if (path == "sample" && key == "location_id") {
        sample_location[samples, ++location_count[samples]] = value
    } else if (path == "sample" && key == "value") {
        sample_value[samples, ++value_count[samples]] = value
    } else if (path == "sample/label") {
        labels[samples, label_count[samples], key] = value
    } else if (path == "mapping") {
        mapping[mappings, key] = value
    } else if (path == "location") {
        location[locations, key] = value
    } else if (path == "location/line") {
        lines[locations, line_count[locations], key] = value
    } else if (path == "function") {
        func_field[functions, key] = value
    } else {
        fail("unknown field " path "/" key)
    }
}

function begin(path)
{
    if (path == "sample")
        samples++
    else if (path == "sample/label")
        label_count[samples]++
    else if (path == "mapping")
        mappings++
    else if (path == "location")
        locations++
    else if (path == "location/line")
        line_count[locations]++
    else if (path == "function")
        functions++
    else
        index_of[path]++
}

/\{$/ {
    path = path == "" ? $1 : path "/" $1
    begin(path)
    next
}
/^ *\}$/ {
    if (!sub(/\/[^\/]*$/, "", path))
        path = ""
    next
}
{
    key = $1
    sub(/:$/, "", key)
    value = $0
    sub(/^ *[a-z_]+: /, "", value)
    # Numbers compare as numbers; longer ones than a double holds stay text.
    if (value ~ /^-?[0-9]+$/ && length(value) < 16)
        value += 0
    note(path, key, value)
}

function text(index_value)
{
    if (index_value + 0 >= string_count)
        fail("string " index_value " of " string_count)
    used[index_value + 0] = 1
    return strings[index_value + 0]
}

function check_top(    want, i)
{
    want = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes"
    for (i = 1; i <= index_of["sample_type"]; i++)
        found = found (i == 1 ? "" : " ") text(types["sample_type", i, "type"]) "/" \
                text(types["sample_type", i, "unit"])
    if (found != want)
        fail("sample types: " found)
    found = text(types["period_type", 1, "type"]) "/" text(types["period_type", 1, "unit"])
    if (found != "space/bytes")
        fail("period type: " found)
    if (string_count == 0 || strings[0] != "")
        fail("string_table[0] is not empty")
    if (text(top["default_sample_type"]) != "inuse_space")
        fail("default_sample_type: " text(top["default_sample_type"]))
    if (top["period"] + 0 < 1)
        fail("period: " top["period"])
    if (length(top["time_nanos"]) != 19)
        fail("time_nanos: " top["time_nanos"])
    if (top["duration_nanos"] + 0 != 0 || "drop_frames" in top || "keep_frames" in top)
        fail("a duration, or dropped frames, in a snapshot")
    if (comments == 0)
        fail("no comment")
}

function check_mappings(    i, flag, flags, n)
{
    n = split("has_functions has_filenames has_line_numbers has_inline_frames", flags, " ")
    for (i = 1; i <= mappings; i++) {
        if (mapping[i, "id"] != i)
            fail("mapping " i " has id " mapping[i, "id"])
        for (flag = 1; flag <= n; flag++) {
            if (mapping[i, flags[flag]] != "true")
                fail("mapping " i ": " flags[flag] " is not set")
        }
        # Floating point is exact enough to compare: addresses of user space have 47 bits.
        if (mapping[i, "memory_start"] + 0 >= mapping[i, "memory_limit"] + 0)
            fail("mapping " i " is empty")
        if (text(mapping[i, "filename"]) ~ /\(deleted\)/ || text(mapping[i, "filename"]) == "")
            fail("mapping " i ": file " text(mapping[i, "filename"]))
        text(mapping[i, "build_id"])
    }
    if (exe != "" && text(mapping[1, "filename"]) != exe)
        fail("the first mapping is " text(mapping[1, "filename"]) ", want " exe)
    if (build_id != "" && text(mapping[1, "build_id"]) != build_id)
        fail("the first build id is " text(mapping[1, "build_id"]) ", want " build_id)
}

function check_functions(    i)
{
    for (i = 1; i <= functions; i++) {
        if (func_field[i, "id"] != i)
            fail("function " i " has id " func_field[i, "id"])
        if (text(func_field[i, "name"]) == "" || text(func_field[i, "system_name"]) == "")
            fail("function " i " has no name")
        text(func_field[i, "filename"])
    }
}

function check_locations(    i, j, m)
{
    for (i = 1; i <= locations; i++) {
        if (location[i, "id"] != i)
            fail("location " i " has id " location[i, "id"])
        m = location[i, "mapping_id"]
        if (m > mappings)
            fail("location " i " of mapping " m)
        if (m && (location[i, "address"] + 0 < mapping[m, "memory_start"] + 0 ||
                  location[i, "address"] + 0 >= mapping[m, "memory_limit"] + 0))
            fail("location " i " lies outside of its mapping")
        if (line_count[i] == 0)
            fail("location " i " has no line")
        for (j = 1; j <= line_count[i]; j++) {
            if (lines[i, j, "function_id"] < 1 || lines[i, j, "function_id"] > functions)
                fail("location " i " of function " lines[i, j, "function_id"])
            function_used[lines[i, j, "function_id"]] = 1
        }
    }
}

# Whether the label is the mean size of the sample's blocks. Estimated counts are rounded to whole
# ones, the mean is taken before that.
function is_mean(bytes, i,    objects, off)
{
    objects = sample_value[i, 1]
    if (top["period"] == 1)
        return bytes == int(sample_value[i, 2] / objects)
    off = sample_value[i, 2] - bytes * objects
    return off <= bytes + objects && off >= -bytes - objects
}

function check_labels(i,    j, key, seen)
{
    for (j = 1; j <= label_count[i]; j++) {
        key = text(labels[i, j, "key"])
        if (key in seen)
            fail("sample " i " has two labels " key)
        seen[key] = 1
        if (key == "bytes") {
            if (!is_mean(labels[i, j, "num"], i) || (i, j, "num_unit") in labels)
                fail("sample " i ": bytes=" labels[i, j, "num"] ", " sample_value[i, 2] " in " \
                     sample_value[i, 1])
        } else {
            text(labels[i, j, "str"])
        }
        if (key == "heap" && text(labels[i, j, "str"]) != "unmanaged")
            fail("sample " i ": heap=" text(labels[i, j, "str"]))
        if (key == "phase" && text(labels[i, j, "str"]) !~ /^(init|main|unknown)$/)
            fail("sample " i ": phase=" text(labels[i, j, "str"]))
        if (key == "kind" && text(labels[i, j, "str"]) !~ /^(malloc|thread|mmap|reserve|shm|file)$/)
            fail("sample " i ": kind=" text(labels[i, j, "str"]))
    }
    if (!("heap" in seen) || !("kind" in seen) || !("phase" in seen))
        fail("sample " i " lacks a label")
    delete seen
}

function check_samples(    i, j)
{
    for (i = 1; i <= samples; i++) {
        if (location_count[i] == 0)
            fail("sample " i " has no location")
        if (value_count[i] != 4)
            fail("sample " i " has " value_count[i] " values")
        if (sample_value[i, 1] + 0 < sample_value[i, 3] + 0 ||
            sample_value[i, 2] + 0 < sample_value[i, 4] + 0 || sample_value[i, 3] + 0 < 0 ||
            sample_value[i, 4] + 0 < 0 || sample_value[i, 1] + 0 == 0)
            fail("sample " i " has impossible values")
        for (j = 1; j <= location_count[i]; j++) {
            if (sample_location[i, j] < 1 || sample_location[i, j] > locations)
                fail("sample " i " at location " sample_location[i, j])
            location_used[sample_location[i, j]] = 1
        }
        check_labels(i)
    }
}

# Ids are in order of appearance and nothing is there that nobody uses.
function check_used(    i)
{
    for (i = 1; i <= locations; i++) {
        if (!(i in location_used))
            fail("location " i " is not used")
    }
    for (i = 1; i <= functions; i++) {
        if (!(i in function_used))
            fail("function " i " is not used")
    }
    for (i = 1; i < string_count; i++) {
        if (!(i in used) && strings[i] !~ /^(offheap|exact|sampled|[0-9])/ && !is_comment(strings[i]))
            unused = unused " '" strings[i] "'"
    }
    if (unused != "")
        fail("strings that nothing refers to:" unused)
}

# Comments are indices, too; several stand in one packed field, of which only the last is kept here.
function is_comment(string)
{
    return string ~ / /
}

END {
    check_top()
    check_mappings()
    check_functions()
    check_locations()
    check_samples()
    text(top["doc_url"])
    check_used()
    if (!failures)
        print "ok " samples " samples, " locations " locations, " functions " functions"
    exit failures != 0
}
