// SPDX-License-Identifier: Apache-2.0
#include "tables/levels.h"

#include <stddef.h>

#include "recording/recording.h"

void oh_levels_init(struct oh_levels *levels, enum oh_format_section_id id)
{
    levels->planned = 0;
    for (uint32_t number = 0; number < OH_FORMAT_MAX_LEVELS; number++) {
        struct oh_format_section *section = oh_recording_section(id, number);
        if (section == NULL)
            break;
        struct oh_level *level = &levels->level[levels->planned++];
        level->section = section;
        level->bytes = oh_recording_at(section->offset);
        level->buckets = section->bytes / OH_LEVELS_BUCKET_BYTES;
    }
    oh_store32_release(&levels->count, 1);
}

bool oh_levels_open(struct oh_levels *levels, uint32_t count, bool *no_room)
{
    uint32_t seen = oh_levels_count(levels);
    if (seen > count)
        return true;
    if (count == levels->planned)
        return false;
    if (oh_recording_reserve(levels->level[count].section) < 0) {
        *no_room = true;
        return false;
    }
    (void)oh_cas32_acq_rel(&levels->count, &seen, count + 1);
    return true;
}
