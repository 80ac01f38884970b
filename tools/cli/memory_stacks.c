// SPDX-License-Identifier: Apache-2.0
//
// What `offheap memory` prints beside its table.

#include "cli/memory_stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/path.h"
#include "cli/growth.h"
#include "offheap/block.h"
#include "pprof/export.h"
#include "report/diff.h"
#include "report/render.h"

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

// Of both ends of the watch.
struct oh_memory_ends {
    struct oh_export older;
    struct oh_export newer;
};

static int build_ends(struct oh_watch *watch, struct oh_risers *risers, struct oh_memory_ends *ends,
                      struct oh_err *err)
{
    // Both looks share the samples of what was there before: only what came since has an error.
    struct oh_export_choice choice = {
        .want = risers->count > 0 ? is_riser : NULL, .arg = risers, .errors_since_s = UINT32_MAX};
    int result = oh_export_build_chosen(&watch->first, &choice, &ends->older, err);
    if (result < 0) {
        return result;
    }
    choice.errors_since_s = second_of_first(watch);
    result = oh_export_build_chosen(&watch->last, &choice, &ends->newer, err);
    if (result < 0) {
        oh_export_fini(&ends->older);
    }
    return result;
}

static void ends_fini(struct oh_memory_ends *ends)
{
    oh_export_fini(&ends->newer);
    oh_export_fini(&ends->older);
}

static const struct oh_report_query largest = {.sort = OH_VALUE_INUSE_SPACE,
                                               .limit = OH_MEMORY_STACKS};

int oh_memory_stacks_print(FILE *out, struct oh_watch *watch, struct oh_risers *risers,
                           struct oh_err *err)
{
    struct oh_memory_ends ends;
    if (!watch->has_first || !watch->has_last) {
        return 0;
    }
    int result = build_ends(watch, risers, &ends, err);
    if (result == 0) {
        const struct oh_report_input from = {.title = "first look", .profile = &ends.older.profile};
        const struct oh_report_input to = {.title = "last look", .profile = &ends.newer.profile};
        result = oh_report_render_change(out, &from, &to, &largest, err);
        ends_fini(&ends);
    }
    return result;
}

static int collect_change(void *arg, const struct oh_report_change *change)
{
    struct oh_memory_stacks *const stacks = arg;
    struct oh_memory_stack *const stack = &stacks->list[stacks->count++];
    int result = 0;
    *stack = (struct oh_memory_stack){
        .older = change->older, .newer = change->newer, .error = change->error};
    for (uint32_t i = 0; i < change->sample->depth && result == 0; i++) {
        const struct oh_profile_location *const location =
            &change->profile->locations[change->sample->locations[i]];
        for (uint32_t k = 0; k < location->line_count && result == 0; k++) {
            const struct oh_profile_function *const function =
                &change->profile->functions[location->lines[k].function];
            result =
                oh_list_add(&stack->frames, "%s", oh_profile_text(change->profile, function->name));
        }
    }
    return result;
}

int oh_memory_stacks_collect(struct oh_watch *watch, struct oh_risers *risers,
                             struct oh_memory_stacks *stacks, struct oh_err *err)
{
    struct oh_memory_ends ends;
    *stacks = (struct oh_memory_stacks){0};
    if (!watch->has_first || !watch->has_last) {
        return 0;
    }
    int result = build_ends(watch, risers, &ends, err);
    if (result == 0) {
        result = oh_report_each_change(&ends.older.profile, &ends.newer.profile, &largest,
                                       collect_change, stacks, err);
        ends_fini(&ends);
    }
    return result == -ENOMEM ? oh_err_no_memory(err) : result;
}

void oh_memory_stacks_fini(struct oh_memory_stacks *stacks)
{
    for (size_t i = 0; i < stacks->count; i++) {
        oh_list_fini(&stacks->list[i].frames);
    }
    stacks->count = 0;
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
