// SPDX-License-Identifier: Apache-2.0
#include "recording/layout.h"

#include <string.h>

enum { SLOT_BYTES = sizeof(uint64_t) + sizeof(struct oh_format_block), GROWTH = 4 };

struct plan {
    struct oh_format_header *header;
    uint64_t end;
};

// Bytes of the tables' level 0; each level is GROWTH times the one before.
struct first_level {
    uint64_t index;
    uint64_t stacks;
    uint64_t live;
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

static uint64_t sum(const struct first_level *level)
{
    return level->index + level->stacks + level->live;
}

static void halve(struct first_level *level)
{
    level->index /= 2;
    level->stacks /= 2;
    level->live /= 2;
}

static void grow(struct first_level *level)
{
    level->index *= GROWTH;
    level->stacks *= GROWTH;
    level->live *= GROWTH;
}

static void add_tables(struct plan *plan, const struct first_level *level, uint32_t number)
{
    add(plan, OH_SECTION_INDEX, number, level->index);
    add(plan, OH_SECTION_STACKS, number, level->stacks);
    add(plan, OH_SECTION_LIVE, number, level->live);
}

uint64_t oh_layout_plan(struct oh_format_header *header, bool exact, uint64_t max_bytes)
{
    const uint64_t kib = 1024;
    // For programs that load and unload libraries all day.
    const uint64_t many_names = 1024 * kib;
    const uint64_t many_modules = 8192 * OH_FORMAT_MODULE_BYTES;
    const struct first_level first = {64 * kib, 256 * kib, (exact ? 512 : 128) * kib};
    struct first_level level = first;
    struct plan plan = {header, OH_FORMAT_HEADER_BYTES};
    memset(header->sections, 0, sizeof header->sections);
    header->section_count = 0;

    add(&plan, OH_SECTION_STRINGS, 0, 32 * kib);
    add(&plan, OH_SECTION_MODULES, 0, 128 * OH_FORMAT_MODULE_BYTES);
    add_tables(&plan, &level, 0);
    add(&plan, OH_SECTION_STRINGS, 1, 256 * kib);
    add(&plan, OH_SECTION_MODULES, 1, 1024 * OH_FORMAT_MODULE_BYTES);
    for (uint32_t number = 1; number < OH_FORMAT_MAX_LEVELS; number++) {
        grow(&level);
        if (number == 2 && plan.end + many_names + many_modules + sum(&level) <= max_bytes) {
            add(&plan, OH_SECTION_STRINGS, number, many_names);
            add(&plan, OH_SECTION_MODULES, number, many_modules);
        }
        while (plan.end + sum(&level) > max_bytes && sum(&level) > sum(&first) / 2)
            halve(&level);
        if (plan.end + sum(&level) > max_bytes)
            break;
        add_tables(&plan, &level, number);
    }
    return plan.end;
}

uint64_t oh_layout_live_slots(uint64_t bytes)
{
    return bytes / SLOT_BYTES;
}
