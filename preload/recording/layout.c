// SPDX-License-Identifier: Apache-2.0
#include "recording/layout.h"

#include <string.h>

enum {
    PAGE = 4096,
    STACKS_GROWTH = 4,      // Each level of INDEX and STACKS is so many times the one before.
    LIVE_GROWTH_TENTHS = 7, // Each level of LIVE is so much of all before it together.
    SECTIONS_A_STEP = 5,    // At most: INDEX, STACKS, STRINGS, MODULES and MAPS.
    MAPS_PART = 16,         // A level of MAPS is at most so small a part of the bound.
};

static const uint64_t kib = 1024;

struct plan {
    struct oh_format_header *header;
    uint64_t end, max_bytes;
    uint64_t live, stacks; // Bytes so far.
    uint32_t live_levels, stack_levels, map_levels;
};

static void add(struct plan *plan, enum oh_format_section_id id, uint32_t level, uint64_t bytes)
{
    struct oh_format_section *section = &plan->header->sections[plan->header->section_count++];
    section->id = id;
    section->level = level;
    section->offset = plan->end;
    section->bytes = bytes;
    plan->end += bytes;
}

static uint64_t room(const struct plan *plan)
{
    return plan->end < plan->max_bytes ? plan->max_bytes - plan->end : 0;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void add_names(struct plan *plan, uint32_t level, uint64_t strings, uint64_t modules)
{
    add(plan, OH_SECTION_STRINGS, level, strings);
    add(plan, OH_SECTION_MODULES, level, modules * OH_FORMAT_MODULE_BYTES);
}

// The log of maps, and four tables of ranges in each of the levels that take little of the file: as
// long as they are not opened they cost nothing, but what others could have had.
static void add_maps(struct plan *plan)
{
    static const uint64_t kibs[] = {32, 256, 2048, 8192, 65536};
    enum { LEVELS = sizeof kibs / sizeof kibs[0] };
    const uint64_t log = (sizeof(struct oh_format_map_log) + PAGE - 1) / PAGE * PAGE;
    if (plan->map_levels == 0)
        add(plan, OH_SECTION_MAP_LOG, 0, log);
    uint32_t level = plan->map_levels;
    if (level < LEVELS && kibs[level] * kib <= plan->max_bytes / MAPS_PART &&
        kibs[level] * kib <= room(plan)) {
        add(plan, OH_SECTION_MAPS, level, kibs[level] * kib);
        plan->map_levels++;
    }
}

// A level of the index is a power of two, its stacks four times as long.
static void add_stacks(struct plan *plan, uint64_t index)
{
    const uint64_t stacks = index * 4;
    add(plan, OH_SECTION_INDEX, plan->stack_levels, index);
    add(plan, OH_SECTION_STACKS, plan->stack_levels++, stacks);
    plan->stacks += index + stacks;
}

static void add_live(struct plan *plan, uint64_t bytes)
{
    add(plan, OH_SECTION_LIVE, plan->live_levels++, bytes);
    plan->live += bytes;
}

// Nothing is put there in the first second, so it is reserved by whoever first does.
static void add_steps(struct plan *plan)
{
    add(plan, OH_SECTION_STEPS, 0,
        sizeof(struct oh_format_step) * OH_FORMAT_STEP_RUNGS * OH_FORMAT_STEP_PLACES);
}

static bool add_more_stacks(struct plan *plan, uint64_t *index)
{
    *index *= STACKS_GROWTH;
    while (*index * 5 > room(plan) && *index > 32 * kib)
        *index /= 2;
    if (*index * 5 > room(plan) || plan->stack_levels == OH_FORMAT_MAX_LEVELS)
        return false;
    add_stacks(plan, *index);
    return true;
}

static bool add_more_live(struct plan *plan, uint64_t least)
{
    uint64_t wanted = plan->live / 10 * LIVE_GROWTH_TENTHS / PAGE * PAGE;
    uint64_t bytes = at_most(wanted > least ? wanted : least, room(plan) / PAGE * PAGE);
    if (bytes < least || plan->live_levels == OH_FORMAT_MAX_LEVELS)
        return false;
    add_live(plan, bytes);
    return true;
}

// Names for programs that load and unload libraries all day, where they take no half of what is
// left.
static void add_many_names(struct plan *plan)
{
    const uint64_t strings = 1024 * kib, modules = 8192;
    if (strings + modules * OH_FORMAT_MODULE_BYTES <= room(plan) / 2)
        add_names(plan, 2, strings, modules);
}

// Every allocation is live for a while, few have new stacks: two thirds of the file are for live
// blocks, or one third where only samples are live.
static bool wants_live(const struct plan *plan, bool exact)
{
    return exact ? plan->live <= plan->stacks * 2 : plan->live * 2 <= plan->stacks;
}

uint64_t oh_layout_plan(struct oh_format_header *header, bool exact, uint64_t max_bytes)
{
    const uint64_t first_live = (exact ? 256 : 64) * kib;
    uint64_t index = 64 * kib;
    struct plan plan = {.header = header, .end = OH_FORMAT_HEADER_BYTES, .max_bytes = max_bytes};
    memset(header->sections, 0, sizeof header->sections);
    header->section_count = 0;

    add_names(&plan, 0, 32 * kib, 128);
    add_stacks(&plan, index);
    add_live(&plan, first_live);
    add_maps(&plan);
    add_names(&plan, 1, 256 * kib, 1024);
    add_steps(&plan);
    add_maps(&plan);
    bool more_stacks = true, more_live = true;
    while ((more_stacks || more_live) &&
           header->section_count + SECTIONS_A_STEP <= OH_FORMAT_SECTIONS) {
        if (more_live && (!more_stacks || wants_live(&plan, exact))) {
            more_live = add_more_live(&plan, first_live / 4);
        } else {
            more_stacks = add_more_stacks(&plan, &index);
            if (more_stacks && plan.stack_levels == 3)
                add_many_names(&plan);
            if (more_stacks)
                add_maps(&plan);
        }
    }
    return plan.end;
}
