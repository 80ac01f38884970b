// SPDX-License-Identifier: Apache-2.0
//
// What `offheap memory` prints beside its table.

#include "cli/memory_stacks.h"

#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/path.h"
#include "cli/growth.h"
#include "pprof/export.h"
#include "report/diff.h"
#include "report/render.h"

enum { OH_MEMORY_STACKS = 5, OH_MEMORY_STATUS_MAX = 1 << 20 };

int oh_memory_stacks_print(FILE *out, struct oh_watch *watch, struct oh_err *err)
{
    struct oh_export older;
    struct oh_export newer;
    if (!watch->has_first || !watch->has_last) {
        return 0;
    }
    int result = oh_export_build(&watch->first, NULL, 0, &older, NULL, err);
    if (result < 0) {
        return result;
    }
    result = oh_export_build(&watch->last, NULL, 0, &newer, NULL, err);
    if (result == 0) {
        const struct oh_report_query query = {.sort = OH_VALUE_INUSE_SPACE,
                                              .limit = OH_MEMORY_STACKS};
        const struct oh_report_input from = {.title = "first look", .profile = &older.profile};
        const struct oh_report_input to = {.title = "last look", .profile = &newer.profile};
        result = oh_report_render_change(out, &from, &to, &query, err);
        oh_export_fini(&newer);
    }
    oh_export_fini(&older);
    return result;
}

// In use by kind, as the reports have it.
static void print_kinds(FILE *out, const struct oh_profile *profile)
{
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        const uint32_t kind = profile->samples[i].labels[OH_LABEL_KIND];
        double bytes = 0;
        double objects = 0;
        bool is_first = true;
        for (uint32_t k = 0; k < profile->sample_count; k++) {
            const struct oh_profile_sample *const sample = &profile->samples[k];
            if (sample->labels[OH_LABEL_KIND] == kind) {
                is_first = is_first && k >= i;
                bytes += (double)sample->values[OH_VALUE_INUSE_SPACE];
                objects += (double)sample->values[OH_VALUE_INUSE_OBJECTS];
            }
        }
        if (is_first) {
            char size[OH_HUMAN_BYTES];
            char count[OH_HUMAN_BYTES];
            oh_human_format_bytes(bytes, size);
            oh_human_format_count(objects, count);
            (void)fprintf(out, "%12s  %s, in %s objects\n", size, oh_profile_text(profile, kind),
                          count);
        }
    }
}

int oh_memory_held_print(FILE *out, struct oh_reader *reader, const struct oh_memory_report *report,
                         struct oh_err *err)
{
    struct oh_export made;
    const int result = oh_export_build(reader, NULL, 0, &made, NULL, err);
    if (result < 0) {
        return result;
    }
    oh_table_print_head(out, report);
    (void)fprintf(out,
                  "\nThe process is gone, and with it what was resident. What it had allocated "
                  "and not freed:\n");
    print_kinds(out, &made.profile);
    (void)fprintf(out, "\nBy stacks: offheap report %s\n", report->what);
    oh_export_fini(&made);
    const struct oh_growth_query query = {
        .rows = {.sort = OH_VALUE_INUSE_SPACE, .limit = OH_MEMORY_STACKS}};
    return oh_growth_print_changes(out, reader, &query, err);
}

void oh_memory_status_print(FILE *out, pid_t pid)
{
    static const char *const keys[] = {"VmRSS:", "RssAnon:", "RssFile:", "RssShmem:", "VmSwap:"};
    char *const path = oh_str_printf("/proc/%d/status", (int)pid);
    char *text = NULL;
    size_t length = 0;
    if (path == NULL || oh_file_read(path, OH_MEMORY_STATUS_MAX, &text, &length) < 0) {
        free(path);
        return;
    }
    free(path);
    (void)fprintf(out, "Memory of pid %d, as far as anybody may read it:\n", (int)pid);
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (strncmp(line, keys[i], strlen(keys[i])) == 0) {
                (void)fprintf(out, "  %s\n", line);
            }
        }
    }
    free(text);
}
