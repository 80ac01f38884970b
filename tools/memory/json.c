// SPDX-License-Identifier: Apache-2.0
//
// The memory report as JSON.

#include "memory/json.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "profile/ranges.h"

// The bytes of the UTF-8 sequence at text; 0: it is none.
static size_t utf8_length(const unsigned char *text)
{
    const size_t length = text[0] < 0x80                       ? 1
                          : text[0] >= 0xc2 && text[0] < 0xe0  ? 2
                          : text[0] >= 0xe0 && text[0] < 0xf0  ? 3
                          : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
                                                               : 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    // Longer than need be, halves of a pair, and past the last character.
    const bool is_wrong =
        (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f);
    return is_wrong ? 0 : length;
}

void oh_json_print_string(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        const size_t length = utf8_length(at);
        if (length == 0) {
            (void)fputs("\\ufffd", out);
        } else if (*at == '"' || *at == '\\') {
            (void)fprintf(out, "\\%c", *at);
        } else if (*at < 0x20) {
            (void)fprintf(out, "\\u%04x", *at);
        } else {
            (void)fwrite(at, 1, length, out);
        }
        at += length == 0 ? 1 : length;
    }
    (void)fputc('"', out);
}

static void print_key(FILE *out, const char *gap, const char *key)
{
    (void)fprintf(out, "%s\"%s\": ", gap, key);
}

static void print_bytes(FILE *out, const char *gap, const char *key, double bytes)
{
    print_key(out, gap, key);
    (void)fprintf(out, "%.0f", isfinite(bytes) ? bytes : 0);
}

static void print_bool(FILE *out, const char *gap, const char *key, bool value)
{
    print_key(out, gap, key);
    (void)fputs(value ? "true" : "false", out);
}

static void print_text(FILE *out, const char *gap, const char *key, const char *text)
{
    print_key(out, gap, key);
    if (text == NULL) {
        (void)fputs("null", out);
    } else {
        oh_json_print_string(out, text);
    }
}

static void print_parts(FILE *out, const struct oh_look *look)
{
    print_key(out, ",\n  ", "parts");
    (void)fputs("{", out);
    for (int i = 0; i < OH_PART_COUNT; i++) {
        print_bytes(out, i == 0 ? "\n    " : ",\n    ", oh_part_key((enum oh_memory_part)i),
                    look->parts[i]);
    }
    (void)fputs("\n  }", out);
}

static void print_live(FILE *out, const struct oh_look *look)
{
    if (!look->has_recording) {
        return;
    }
    print_key(out, ",\n  ", "c_live");
    print_bytes(out, "{", "allocated", look->live.allocated);
    print_bytes(out, ", ", "resident", look->live.resident);
    print_bytes(out, ", ", "swapped", look->live.swapped);
    print_bytes(out, ", ", "objects", round(look->live.objects));
    print_bytes(out, ", ", "standard_error", oh_look_error(look));
    print_bytes(out, ", ", "retained_standard_error", oh_look_retained_error(look));
    print_bool(out, ", ", "exact", look->is_exact);
    if (look->free_pages >= 0) {
        print_bytes(out, ", ", "free_pages", look->free_pages);
    }
    (void)fputs("}", out);
}

static void print_stats(FILE *out, const struct oh_gostats *stats)
{
    print_key(out, ",\n  ", "memstats");
    print_bytes(out, "{", "sys", (double)stats->sys);
    print_bytes(out, ", ", "sys_less_released", (double)oh_gostats_held(stats));
    print_bytes(out, ", ", "heap_alloc", (double)stats->heap_alloc);
    print_bytes(out, ", ", "heap_inuse", (double)stats->heap_inuse);
    print_bytes(out, ", ", "heap_idle", (double)stats->heap_idle);
    print_bytes(out, ", ", "heap_released", (double)stats->heap_released);
    print_bytes(out, ", ", "stack_sys", (double)stats->stack_sys);
    print_bytes(out, ", ", "metadata", (double)stats->metadata);
    print_bytes(out, ", ", "next_gc", (double)stats->next_gc);
    (void)fputs("}", out);
}

static void print_jemalloc(FILE *out, const struct oh_look *look)
{
    const struct oh_format_jemalloc *const said = &look->jemalloc;
    if (said->time_ns == 0) {
        return;
    }
    print_key(out, ",\n  ", "jemalloc");
    print_bytes(out, "{", "jemalloc_allocated", (double)said->allocated);
    print_bytes(out, ", ", "active", (double)said->active);
    print_bytes(out, ", ", "metadata", (double)said->metadata);
    print_bytes(out, ", ", "jemalloc_resident", (double)said->resident);
    print_bytes(out, ", ", "mapped", (double)said->mapped);
    print_bytes(out, ", ", "retained", (double)said->retained);
    print_bytes(out, ", ", "age_s", round(look->jemalloc_age_s));
    (void)fputs("}", out);
}

static void print_go_names(FILE *out, const struct oh_look *look)
{
    if (look->go_name_count == 0) {
        return;
    }
    print_key(out, ",\n  ", "go_names");
    (void)fputs("{", out);
    for (size_t i = 0; i < look->go_name_count; i++) {
        (void)fputs(i == 0 ? "" : ", ", out);
        oh_json_print_string(out, look->go_names[i].name);
        (void)fprintf(out, ": %llu", (unsigned long long)look->go_names[i].resident);
    }
    (void)fputs("}", out);
}

// A limit that is not set is null; what the kernel does not give is left out.
static void print_charge(FILE *out, const char *key, uint64_t bytes)
{
    if (bytes == OH_CGROUP_NO_LIMIT) {
        print_text(out, ",\n    ", key, NULL);
    } else if (bytes != OH_CGROUP_ABSENT) {
        print_bytes(out, ",\n    ", key, (double)bytes);
    }
}

static void print_cgroup(FILE *out, const struct oh_cgroup *group)
{
    print_key(out, ",\n  ", "cgroup");
    (void)fprintf(out, "{\n    \"version\": %d", group->version);
    if (group->version == 0) {
        print_text(out, ",\n    ", "reason", group->reason);
    } else {
        print_text(out, ",\n    ", "name", group->name);
        print_charge(out, "current", group->current);
        print_charge(out, "peak", group->peak);
        print_charge(out, "max", group->max);
        print_charge(out, "limit", group->limit);
        print_charge(out, "high", group->high);
        print_charge(out, "anon", group->anonymous);
        print_charge(out, "file", group->file);
        print_charge(out, "shmem", group->shmem);
        print_charge(out, "kernel", group->kernel);
        print_charge(out, "swap", group->swap);
        print_charge(out, "unreclaimable", oh_cgroup_unreclaimable(group));
        print_charge(out, "high_events", group->high_events);
        print_charge(out, "max_events", group->max_events);
        print_charge(out, "oom_events", group->oom_events);
        print_charge(out, "oom_kills", group->oom_kills);
    }
    (void)fputs("\n  }", out);
}

static void print_verdict(FILE *out, const struct oh_verdict *verdict)
{
    print_key(out, ",\n  ", "verdict");
    (void)fputs("[", out);
    for (size_t i = 0; i < verdict->count; i++) {
        const struct oh_finding *const finding = &verdict->findings[i];
        print_text(out, i == 0 ? "\n    {" : ",\n    {", "kind", oh_finding_key(finding->kind));
        if (finding->part != OH_PART_COUNT) {
            print_text(out, ", ", "part", oh_part_key(finding->part));
        }
        print_bytes(out, ", ", "bytes", finding->bytes);
        print_bytes(out, ", ", "standard_error", finding->error);
        print_text(out, ", ", "text", finding->text);
        (void)fputs("}", out);
    }
    (void)fputs("\n  ]", out);
}

static void print_status(FILE *out, const struct oh_status *status, bool has_look)
{
    if (!has_look && status->has_sizes) {
        print_key(out, ",\n  ", "status");
        print_bytes(out, "{", "resident", (double)status->resident);
        print_bytes(out, ", ", "anon", (double)status->anonymous);
        print_bytes(out, ", ", "file", (double)status->file);
        print_bytes(out, ", ", "shmem", (double)status->shmem);
        print_bytes(out, ", ", "swapped", (double)status->swapped);
        (void)fputs("}", out);
    }
    if (status->has_score) {
        print_key(out, ",\n  ", "oom");
        print_bytes(out, "{", "score", (double)status->score);
        print_bytes(out, ", ", "adjustment", (double)status->adjustment);
        (void)fputs("}", out);
    }
}

static void print_look(FILE *out, const struct oh_look *look)
{
    (void)fprintf(out, ",\n  \"pid\": %d", (int)look->pid);
    print_bytes(out, ",\n  ", "rss", look->resident);
    print_bytes(out, ",\n  ", "swapped", look->swapped);
    print_bytes(out, ",\n  ", "hugetlb", look->huge_bytes);
    print_bool(out, ",\n  ", "recorded", look->has_recording);
    print_bool(out, ",\n  ", "maps_recorded", look->has_mapped);
    print_bool(out, ",\n  ", "go", look->is_go);
    print_parts(out, look);
    print_live(out, look);
    print_jemalloc(out, look);
    print_go_names(out, look);
}

// --- A process that is gone

static void print_held(FILE *out, const struct oh_past *past)
{
    const char *gap = "\n    ";
    print_key(out, ",\n  ", "held");
    (void)fputs("{", out);
    for (int kind = OH_KIND_MALLOC; kind < OH_KIND_COUNT; kind++) {
        print_key(out, gap, oh_kind_name((uint8_t)kind));
        print_bytes(out, "{", "bytes", past->held[kind].bytes);
        print_bytes(out, ", ", "objects", round(past->held[kind].objects));
        (void)fputs("}", out);
        gap = ",\n    ";
    }
    (void)fputs("\n  }", out);
}

static void print_known(FILE *out, const char *key, uint64_t bytes)
{
    if (bytes != OH_FORMAT_STEP_ABSENT) {
        print_bytes(out, ", ", key, (double)bytes);
    }
}

static void print_step(FILE *out, const struct oh_past *past, uint32_t number)
{
    const struct oh_format_step *const step = &past->timeline->steps[number];
    const uint32_t gap_s = oh_timeline_gap(past->timeline, number, past->end_s);
    (void)fprintf(out, "%s\n    {\"second\": %.3f, \"time\": %.3f", number == 0 ? "" : ",",
                  (double)step->time_ns / 1e9,
                  (double)(past->start_realtime_ns + step->time_ns) / 1e9);
    for (int kind = OH_KIND_MALLOC; kind < OH_KIND_COUNT; kind++) {
        print_known(out, oh_kind_name((uint8_t)kind), step->inuse_bytes[kind]);
    }
    print_known(out, "malloc_ever", step->alloc_bytes[OH_KIND_MALLOC]);
    print_known(out, "rss", step->resident_bytes);
    print_known(out, "cgroup", step->cgroup_bytes);
    if (gap_s != 0) {
        (void)fprintf(out, ", \"gap_after_s\": %u", gap_s);
    }
    (void)fputs("}", out);
}

static void print_past(FILE *out, const struct oh_past *past)
{
    (void)fprintf(out, ",\n  \"pid\": %u", past->pid);
    print_bool(out, ",\n  ", "gone", true);
    print_bool(out, ",\n  ", "exact", past->is_exact);
    print_bool(out, ",\n  ", "go", past->is_go);
    print_held(out, past);
    (void)fprintf(out, ",\n  \"judged_from_s\": %u,\n  \"end_s\": %u", past->judged_s, past->end_s);
    print_key(out, ",\n  ", "timeline");
    (void)fputs("[", out);
    for (uint32_t i = 0; i < past->timeline->count; i++) {
        print_step(out, past, i);
    }
    (void)fputs("\n  ]", out);
    if (past->timeline->torn != 0) {
        (void)fprintf(out, ",\n  \"torn_steps\": %u", past->timeline->torn);
    }
}

static void print_texts(FILE *out, const struct oh_list *list)
{
    (void)fputs("[", out);
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        (void)fputs(i == 0 ? "" : ", ", out);
        oh_json_print_string(out, list->texts[i]);
    }
    (void)fputs("]", out);
}

static void print_stacks(FILE *out, const struct oh_memory_report *report)
{
    if (report->stacks == NULL) {
        return;
    }
    print_key(out, ",\n  ", "stacks");
    (void)fputs("[", out);
    for (size_t i = 0; i < report->stack_count; i++) {
        const struct oh_memory_stack *const stack = &report->stacks[i];
        print_bytes(out, i == 0 ? "\n    {" : ",\n    {", "older", stack->older);
        print_bytes(out, ", ", "newer", stack->newer);
        print_bytes(out, ", ", "standard_error", stack->error);
        print_key(out, ", ", "frames");
        print_texts(out, &stack->frames);
        (void)fputs("}", out);
    }
    (void)fputs("\n  ]", out);
}

void oh_json_print(FILE *out, const struct oh_memory_report *report)
{
    print_text(out, "{\n  ", "title", report->title);
    if (report->look != NULL) {
        print_look(out, report->look);
    }
    if (report->past != NULL) {
        print_past(out, report->past);
    }
    if (report->stats != NULL) {
        print_stats(out, report->stats);
    }
    if (report->status != NULL) {
        print_status(out, report->status, report->look != NULL);
    }
    if (report->group != NULL) {
        print_cgroup(out, report->group);
    }
    if (report->verdict != NULL) {
        print_verdict(out, report->verdict);
    }
    print_stacks(out, report);
    if (report->trimmed != NULL) {
        print_text(out, ",\n  ", "trimmed", report->trimmed);
    }
    if (report->advice != NULL && report->advice->bytes != 0) {
        print_bytes(out, ",\n  ", "gomemlimit", (double)report->advice->bytes);
    }
    if (report->advice != NULL && report->advice->text[0] != '\0') {
        print_text(out, ",\n  ", "gomemlimit_text", report->advice->text);
    }
    if (report->error != NULL) {
        print_text(out, ",\n  ", "error", report->error);
    }
    print_key(out, ",\n  ", "notes");
    print_texts(out, report->notes);
    (void)fputs("\n}\n", out);
}
