// SPDX-License-Identifier: Apache-2.0
//
// The levels of one kind of table in the recording. A hash table that is full opens a further,
// larger level instead of moving what it holds: nothing that was published ever changes its place.
// Search goes from the newest level down, since most entries are there.
//
// A level is searched in buckets of one cache line. In INDEX a hash names a first bucket, and at
// most OH_LEVELS_PROBES buckets from there on are looked at; LIVE is searched by tables/live.
// Writers, orders and progress of the words: tables/stacks.h, tables/live.h. `count` only grows:
// stored with release by oh_levels_open, loaded with acquire by oh_levels_count.

#ifndef OH_TABLES_LEVELS_H
#define OH_TABLES_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "offheap/format.h"

enum { OH_LEVELS_PROBES = 4, OH_LEVELS_BUCKET_BYTES = 64 };

struct oh_level {
    struct oh_format_section *section;
    uint8_t *bytes;
    uint64_t buckets; // Those of INDEX are a power of two.
};

struct oh_levels {
    uint32_t count;   // Levels in use.
    uint32_t planned; // Levels that the recording has a place for.
    struct oh_level level[OH_FORMAT_MAX_LEVELS];
};

// Level 0 is opened. Once, before the other functions.
void oh_levels_init(struct oh_levels *levels, enum oh_format_section_id id);

static inline uint32_t oh_levels_count(const struct oh_levels *levels)
{
    return oh_load32_acquire(&levels->count);
}

// Opens the level after `count` (as the caller saw it): true when a further level is in use now,
// also when another thread opened it; false when there is none, or no room for it on the disk
// (*no_room is then set).
bool oh_levels_open(struct oh_levels *levels, uint32_t count, bool *no_room);

// The n-th bucket of INDEX to look at for `hash`.
static inline uint64_t *oh_level_bucket(const struct oh_level *level, uint64_t hash, uint32_t n)
{
    uint64_t number = ((hash >> 8) + n) & (level->buckets - 1);
    return (uint64_t *)level->bytes + number * OH_FORMAT_BUCKET_SLOTS;
}

#endif
