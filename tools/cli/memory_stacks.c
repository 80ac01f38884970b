// SPDX-License-Identifier: Apache-2.0
//
// What `offheap memory` prints beside its table.

#include "cli/memory_stacks.h"

#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/path.h"
#include "cli/growth.h"
#include "offheap/block.h"
#include "pprof/export.h"
#include "report/diff.h"
#include "report/render.h"

enum { OH_MEMORY_STACKS = 5 };

// The second of the first look, rounded as blocks round their times.
static uint32_t second_of_first(struct oh_watch *watch)
{
    const uint64_t ns_per_s = 1000000000u;
    const uint64_t start_ns = watch->first.view.header->start_monotonic_ns;
    const uint64_t looked_ns = watch->looks[0].time_ns;
    const uint64_t second = looked_ns > start_ns ? (looked_ns - start_ns) / ns_per_s : 0;
    return oh_block_unpack_time(oh_block_pack_time((uint32_t)second));
}

// arg: struct oh_risers.
static bool is_riser(void *arg, uint32_t stack)
{
    return oh_risers_has(arg, stack);
}

int oh_memory_stacks_print(FILE *out, struct oh_watch *watch, struct oh_risers *risers,
                           struct oh_err *err)
{
    struct oh_export older;
    struct oh_export newer;
    // Both looks share the samples of what was there before: only what came since has an error.
    struct oh_export_choice choice = {
        .want = risers->count > 0 ? is_riser : NULL, .arg = risers, .errors_since_s = UINT32_MAX};
    if (!watch->has_first || !watch->has_last) {
        return 0;
    }
    int result = oh_export_build_chosen(&watch->first, &choice, &older, err);
    if (result < 0) {
        return result;
    }
    choice.errors_since_s = second_of_first(watch);
    result = oh_export_build_chosen(&watch->last, &choice, &newer, err);
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

int oh_memory_past_print(FILE *out, struct oh_reader *reader, const struct oh_memory_report *report,
                         struct oh_err *err)
{
    const struct oh_growth_query query = {
        .rows = {.sort = OH_VALUE_INUSE_SPACE, .limit = OH_MEMORY_STACKS}};
    oh_table_print_head(out, report);
    (void)fprintf(out,
                  "\nThe process is gone, and with it what was resident. What it had allocated "
                  "and not freed:\n");
    oh_table_print_held(out, report->past);
    (void)fprintf(out, "\nBy stacks: offheap report %s\nGrowth:    offheap report --growth %s\n",
                  report->what, report->what);
    oh_table_print_verdict(out, report);
    return oh_growth_print_changes(out, reader, &query, err);
}
