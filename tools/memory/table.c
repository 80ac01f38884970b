// SPDX-License-Identifier: Apache-2.0
//
// The memory report as text.

#include "memory/table.h"

#include <math.h>
#include <string.h>

#include "base/human.h"
#include "profile/ranges.h"

enum { OH_TABLE_BYTES_WIDTH = 12, OH_TABLE_TITLE_WIDTH = 22 };

static const char unrecorded_hint[] = "maps of C code or Go: record it; pmap -X %s";
static const char confined_hint[] = "raw system calls, or mapped in a sandbox: pmap -X %s";
static const char unseen_hint[] = "an allocator that is not recorded: see the notes";
static const char jemalloc_hint[] = "freed or never given out: --trim, dirty_decay_ms";

static const char *format(double bytes, char out[OH_HUMAN_BYTES])
{
    oh_human_format_bytes(bytes, out);
    return out;
}

void oh_table_print_head(FILE *out, const struct oh_memory_report *report)
{
    (void)fprintf(out, "%s\n", report->title);
    for (size_t i = 0; report->notes != NULL && i < report->notes->count; i++) {
        (void)fprintf(out, "  note       %s\n", report->notes->texts[i]);
    }
}

static void print_row(FILE *out, const struct oh_memory_report *report, const char *title,
                      double bytes, const char *hint)
{
    char size[OH_HUMAN_BYTES];
    const double resident = report->look->resident;
    (void)fprintf(out, "%*s %6.1f%%  ", OH_TABLE_BYTES_WIDTH, format(bytes, size),
                  resident > 0 ? 100 * bytes / resident : 0.0);
    if (hint[0] == '\0') {
        (void)fprintf(out, "%s\n", title);
        return;
    }
    (void)fprintf(out, "%-*s ", OH_TABLE_TITLE_WIDTH, title);
    const char *const place = strstr(hint, "%s");
    if (place == NULL) {
        (void)fprintf(out, "%s\n", hint);
    } else {
        (void)fprintf(out, "%.*s%s%s\n", (int)(place - hint), hint, report->what, place + 2);
    }
}

// A line of its own below a row, indented to its title.
static void print_detail(FILE *out, const char *text)
{
    (void)fprintf(out, "%*s%s\n", OH_TABLE_BYTES_WIDTH + 10 + 2, "", text);
}

static void print_go_names(FILE *out, const struct oh_look *look)
{
    char line[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < look->go_name_count && used < sizeof line; i++) {
        char size[OH_HUMAN_BYTES];
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s %s", i == 0 ? "" : ", ",
                                 look->go_names[i].name,
                                 format((double)look->go_names[i].resident, size));
    }
    if (line[0] != '\0') {
        print_detail(out, line);
    }
}

static void print_go_stats(FILE *out, const struct oh_gostats *stats)
{
    char line[512];
    char a[OH_HUMAN_BYTES];
    char b[OH_HUMAN_BYTES];
    char c[OH_HUMAN_BYTES];
    char d[OH_HUMAN_BYTES];
    const double idle = (double)stats->heap_idle - (double)stats->heap_released;
    (void)snprintf(line, sizeof line, "MemStats: Sys less HeapReleased is %s (Sys %s)",
                   format((double)oh_gostats_held(stats), a), format((double)stats->sys, b));
    print_detail(out, line);
    (void)snprintf(line, sizeof line, "heap in use %s, idle %s, stacks %s, metadata %s",
                   format((double)stats->heap_inuse, a), format(idle > 0 ? idle : 0, b),
                   format((double)stats->stack_sys, c), format((double)stats->metadata, d));
    print_detail(out, line);
}

static void print_live(FILE *out, const struct oh_look *look)
{
    char line[256];
    char size[OH_HUMAN_BYTES];
    char error[OH_HUMAN_BYTES];
    char objects[OH_HUMAN_BYTES];
    oh_human_format_count(round(look->live.objects), objects);
    (void)snprintf(line, sizeof line, "of %s allocated in %s blocks",
                   format(look->live.allocated, size), objects);
    const size_t used = strlen(line);
    if (oh_look_error(look) > 0) {
        (void)snprintf(line + used, sizeof line - used, "; an estimate, ±%s",
                       format(oh_look_error(look), error));
    }
    print_detail(out, line);
}

static void print_retained(FILE *out, const struct oh_look *look)
{
    char line[256] = "";
    char size[OH_HUMAN_BYTES];
    if (look->free_pages >= 0) {
        (void)snprintf(line, sizeof line, "of it whole free pages %s",
                       format(fmin(look->free_pages, look->parts[OH_PART_RETAINED]), size));
    } else if (oh_look_retained_error(look) > 0) {
        (void)snprintf(line, sizeof line, "a difference, ±%s",
                       format(oh_look_retained_error(look), size));
    }
    if (line[0] != '\0') {
        print_detail(out, line);
    }
}

static void print_jemalloc(FILE *out, const struct oh_look *look)
{
    char line[512];
    char a[OH_HUMAN_BYTES];
    char b[OH_HUMAN_BYTES];
    char c[OH_HUMAN_BYTES];
    char d[OH_HUMAN_BYTES];
    const struct oh_format_jemalloc *const said = &look->jemalloc;
    if (said->time_ns == 0) {
        return;
    }
    (void)snprintf(line, sizeof line, "jemalloc says (%.0f s ago): allocated %s, active %s,",
                   look->jemalloc_age_s, format((double)said->allocated, a),
                   format((double)said->active, b));
    print_detail(out, line);
    (void)snprintf(line, sizeof line, "metadata %s, resident %s, retained %s",
                   format((double)said->metadata, c), format((double)said->resident, d),
                   format((double)said->retained, a));
    print_detail(out, line);
}

static void print_part(FILE *out, const struct oh_memory_report *report, enum oh_memory_part part)
{
    const struct oh_look *const look = report->look;
    const bool is_always =
        part == OH_PART_UNCLAIMED || (part == OH_PART_GO && look->is_go) ||
        (look->has_recording && (part == OH_PART_C_LIVE || part == OH_PART_RETAINED));
    if (!is_always && fabs(look->parts[part]) < 1) {
        return;
    }
    const bool is_jemalloc = part == OH_PART_RETAINED && look->allocator == OH_ALLOCATOR_JEMALLOC;
    const bool is_unseen = part == OH_PART_HEAP && look->has_unseen;
    const bool is_unrecorded = part == OH_PART_UNCLAIMED && !look->has_mapped;
    const bool is_confined = part == OH_PART_UNCLAIMED && look->is_confined;
    print_row(out, report, oh_part_title(part), look->parts[part],
              is_jemalloc     ? jemalloc_hint
              : is_unseen     ? unseen_hint
              : is_unrecorded ? unrecorded_hint
              : is_confined   ? confined_hint
                              : oh_part_hint(part));
    if (part == OH_PART_GO) {
        print_go_names(out, look);
        if (report->stats != NULL) {
            print_go_stats(out, report->stats);
        }
    } else if (part == OH_PART_C_LIVE) {
        print_live(out, look);
    } else if (part == OH_PART_RETAINED) {
        print_retained(out, look);
        print_jemalloc(out, look);
    }
}

static void print_parts(FILE *out, const struct oh_memory_report *report)
{
    const struct oh_look *const look = report->look;
    char size[OH_HUMAN_BYTES];
    (void)fprintf(out, "\n%*s %7s  %-*s %s\n", OH_TABLE_BYTES_WIDTH, "resident", "share",
                  OH_TABLE_TITLE_WIDTH, "what", "where to look next");
    for (int i = 0; i < OH_PART_COUNT; i++) {
        print_part(out, report, (enum oh_memory_part)i);
    }
    print_row(out, report, "RSS (smaps_rollup)", look->resident, "");
    if (look->swapped > 0) {
        (void)fprintf(out, "%*s %7s  swapped out, not in RSS\n", OH_TABLE_BYTES_WIDTH,
                      format(look->swapped, size), "");
    }
    if (look->huge_bytes > 0) {
        (void)fprintf(out, "%*s %7s  in hugetlb pages, which no RSS counts\n", OH_TABLE_BYTES_WIDTH,
                      format(look->huge_bytes, size), "");
    }
}

static void print_charge(FILE *out, const char *title, uint64_t bytes)
{
    char size[OH_HUMAN_BYTES];
    if (bytes == OH_CGROUP_ABSENT) {
        return;
    }
    (void)fprintf(out, "%*s  %s\n", OH_TABLE_BYTES_WIDTH,
                  bytes == OH_CGROUP_NO_LIMIT ? "none" : format((double)bytes, size), title);
}

static void print_events(FILE *out, const struct oh_cgroup *group)
{
    const struct {
        const char *name;
        uint64_t count;
    } events[] = {{"high", group->high_events},
                  {"max", group->max_events},
                  {"oom", group->oom_events},
                  {"oom_kill", group->oom_kills}};
    const char *gap = "";
    (void)fprintf(out, "%*s  events: ", OH_TABLE_BYTES_WIDTH, "");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i].count < OH_CGROUP_NO_LIMIT) {
            (void)fprintf(out, "%s%s %llu", gap, events[i].name,
                          (unsigned long long)events[i].count);
            gap = ", ";
        }
    }
    (void)fprintf(out, "%s\n", gap[0] == '\0' ? "not told" : "");
}

static void print_cgroup(FILE *out, const struct oh_cgroup *group)
{
    if (group->version == 0) {
        (void)fprintf(out, "\nControl group: %s\n", group->reason);
        return;
    }
    const bool is_v2 = group->version == 2;
    (void)fprintf(out,
                  "\nControl group %s (v%d; other processes and the kernel's memory are in it)\n",
                  group->name, group->version);
    print_charge(out, is_v2 ? "charged (memory.current)" : "charged (memory.usage_in_bytes)",
                 group->current);
    print_charge(out, is_v2 ? "limit (memory.max)" : "limit (memory.limit_in_bytes)", group->max);
    if (group->limit != group->max) {
        print_charge(out, "the least limit of the groups above", group->limit);
    }
    print_charge(out, is_v2 ? "throttled above (memory.high)" : "soft limit", group->high);
    print_charge(out, "highest charge so far", group->peak);
    print_charge(out, "anonymous", group->anonymous);
    print_charge(out, "page cache of files", group->file);
    print_charge(out, "shared memory and tmpfs", group->shmem);
    print_charge(out, "the kernel's", group->kernel);
    print_charge(out, "swap", group->swap);
    print_charge(out, "what the OOM killer counts: cannot be reclaimed",
                 oh_cgroup_unreclaimable(group));
    print_events(out, group);
}

void oh_table_print_held(FILE *out, const struct oh_past *past)
{
    for (int kind = OH_KIND_MALLOC; kind < OH_KIND_COUNT; kind++) {
        const struct oh_past_held *const held = &past->held[kind];
        char size[OH_HUMAN_BYTES];
        char count[OH_HUMAN_BYTES];
        if (held->bytes <= 0 && held->objects <= 0) {
            continue;
        }
        oh_human_format_bytes(held->bytes, size);
        oh_human_format_count(round(held->objects), count);
        (void)fprintf(out, "%12s  %s, in %s %s%s\n", size, oh_kind_name((uint8_t)kind), count,
                      kind == OH_KIND_MALLOC ? "objects" : "calls",
                      kind >= OH_KIND_GO_RUNTIME ? " (address space, used or not)" : "");
    }
}

void oh_table_print_verdict(FILE *out, const struct oh_memory_report *report)
{
    const struct oh_verdict *const verdict = report->verdict;
    for (size_t i = 0; verdict != NULL && i < verdict->count; i++) {
        (void)fprintf(out, "%s%-10s %s\n", i == 0 ? "\n" : "", i == 0 ? "Verdict:" : "",
                      verdict->findings[i].text);
    }
    if (report->trimmed != NULL) {
        (void)fprintf(out, "%-10s %s\n", "Trimmed:", report->trimmed);
    }
    if (report->advice != NULL && report->advice->text[0] != '\0') {
        (void)fprintf(out, "%-10s %s\n", "Advice:", report->advice->text);
    }
}

static void print_status(FILE *out, const struct oh_status *status)
{
    (void)fprintf(out, "\nAs far as anybody may read it:\n");
    print_charge(out, "resident (VmRSS)", status->resident);
    print_charge(out, "anonymous (RssAnon)", status->anonymous);
    print_charge(out, "of files (RssFile)", status->file);
    print_charge(out, "shared memory (RssShmem)", status->shmem);
    print_charge(out, "swapped out (VmSwap)", status->swapped);
}

static void print_score(FILE *out, const struct oh_status *status)
{
    if (status != NULL && status->has_score) {
        (void)fprintf(out,
                      "%*ld  the process's OOM score (adjustment %ld): the highest is killed "
                      "first\n",
                      OH_TABLE_BYTES_WIDTH, status->score, status->adjustment);
    }
}

void oh_table_print(FILE *out, const struct oh_memory_report *report)
{
    oh_table_print_head(out, report);
    if (report->look != NULL) {
        print_parts(out, report);
    } else if (report->status != NULL && report->status->has_sizes) {
        print_status(out, report->status);
    }
    print_cgroup(out, report->group);
    print_score(out, report->status);
    oh_table_print_verdict(out, report);
}
