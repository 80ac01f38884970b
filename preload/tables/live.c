// SPDX-License-Identifier: Apache-2.0
#include "tables/live.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "offheap/hash.h"
#include "recording/recording.h"
#include "tables/levels.h"

enum {
    PREFETCHED_LEVELS = 8, // The older ones are small and stay in the cache.
    PAIR = 2,
};

_Static_assert(OH_LIVE_LINE_BLOCKS * sizeof(struct oh_format_block) == OH_LEVELS_BUCKET_BYTES,
               "a bucket is a line");

static struct oh_levels levels;

void oh_live_init(void)
{
    oh_levels_init(&levels, OH_SECTION_LIVE);
}

// The number of the home line in a level. Different levels spread addresses differently, so that
// those that meet in a full line of one do not meet again in the next.
static inline uint64_t home_of(uint32_t number, uint64_t hash)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t spread = hash * (odd + 2 * (uint64_t)number) >> 32;
    return spread * levels.level[number].buckets >> 32;
}

static inline struct oh_format_block *line_at(uint32_t number, uint64_t line)
{
    return (struct oh_format_block *)(levels.level[number].bytes + line * OH_LEVELS_BUCKET_BYTES);
}

// The entry of the address in one line, with what was read of its place, or NULL.
static inline struct oh_format_block *find_in(struct oh_format_block *line, uint64_t key,
                                              uint64_t *place)
{
#pragma GCC unroll 4
    for (int i = 0; i < OH_LIVE_LINE_BLOCKS; i++) {
        *place = oh_load_acquire(&line[i].place);
        if (oh_block_is_at(*place, key))
            return &line[i];
    }
    return NULL;
}

// A free entry of the line made BUSY, and it is the caller's, or NULL.
static inline struct oh_format_block *claim_in(struct oh_format_block *line)
{
#pragma GCC unroll 4
    for (int i = 0; i < OH_LIVE_LINE_BLOCKS; i++) {
        uint64_t empty = OH_LIVE_EMPTY;
        if (oh_load_relaxed(&line[i].place) == OH_LIVE_EMPTY &&
            oh_cas_acq_rel(&line[i].place, &empty, OH_LIVE_BUSY))
            return &line[i];
    }
    return NULL;
}

// The n-th line after the home line in its group: n from PAIR on are those beyond the pair.
static inline uint64_t line_of_group(uint64_t home, uint64_t n)
{
    uint64_t pair = home & (PAIR - 1);
    return (home & ~(uint64_t)(OH_LIVE_GROUP - 1)) | ((home - pair + n) & (OH_LIVE_GROUP - 1));
}

// The home lines of the newer levels, all at once: a search waits for one of them, not for each.
static inline void prefetch_homes(uint64_t hash, uint32_t number)
{
    for (int i = 0; i < PREFETCHED_LEVELS && number-- > 0; i++)
        __builtin_prefetch(line_at(number, home_of(number, hash)), 1);
}

static OH_NOINLINE struct oh_format_block *find_far(uint64_t hash, uint64_t key, uint64_t *place)
{
    for (uint32_t number = oh_levels_count(&levels); number-- > 0;) {
        uint64_t home = home_of(number, hash);
        for (uint64_t n = PAIR; n < OH_LIVE_GROUP; n++) {
            struct oh_format_block *entry =
                find_in(line_at(number, line_of_group(home, n)), key, place);
            if (entry != NULL)
                return entry;
        }
    }
    return NULL;
}

static inline struct oh_format_block *find(uint64_t address, uint64_t *place)
{
    uint64_t hash = oh_hash_mix(address);
    uint64_t key = oh_block_key(address);
    prefetch_homes(hash, oh_levels_count(&levels));
    for (uint32_t number = oh_levels_count(&levels); number-- > 0;) {
        uint64_t home = home_of(number, hash);
        struct oh_format_block *entry = find_in(line_at(number, home), key, place);
        if (entry == NULL)
            entry = find_in(line_at(number, home ^ 1), key, place);
        if (entry != NULL)
            return entry;
    }
    return find_far(hash, key, place);
}

bool oh_live_remove(uint64_t address)
{
    uint64_t place;
    struct oh_format_block *entry = find(address, &place);
    return entry != NULL && oh_cas_acq_rel(&entry->place, &place, OH_LIVE_EMPTY);
}

bool oh_live_take(uint64_t address, struct oh_block *block)
{
    uint64_t place;
    struct oh_format_block *entry = find(address, &place);
    if (entry == NULL)
        return false;
    struct oh_block found = oh_block_unpack(place, oh_load_relaxed(&entry->facts));
    if (!oh_cas_acq_rel(&entry->place, &place, OH_LIVE_EMPTY))
        return false;
    *block = found;
    return true;
}

void oh_live_prefetch(uint64_t address)
{
    prefetch_homes(oh_hash_mix(address), oh_levels_count(&levels));
}

// The home line of each level: the place where an unseen free nearly always left its block.
static inline bool forget(uint64_t hash, uint64_t key, uint32_t count)
{
    for (uint32_t number = count; number-- > 0;) {
        uint64_t place;
        struct oh_format_block *old = find_in(line_at(number, home_of(number, hash)), key, &place);
        if (old != NULL)
            return oh_cas_acq_rel(&old->place, &place, OH_LIVE_EMPTY);
    }
    return false;
}

static struct oh_format_block *claim_far(uint64_t hash, uint32_t count)
{
    for (uint32_t number = count; number-- > 0;) {
        uint64_t home = home_of(number, hash);
        for (uint64_t n = PAIR; n < OH_LIVE_GROUP; n++) {
            struct oh_format_block *entry = claim_in(line_at(number, line_of_group(home, n)));
            if (entry != NULL)
                return entry;
        }
    }
    return NULL;
}

static inline struct oh_format_block *claim_near(uint64_t hash, uint32_t count)
{
    for (uint32_t number = count; number-- > 0;) {
        uint64_t home = home_of(number, hash);
        struct oh_format_block *entry = claim_in(line_at(number, home));
        if (entry == NULL)
            entry = claim_in(line_at(number, home ^ 1));
        if (entry != NULL)
            return entry;
    }
    return NULL;
}

static OH_NOINLINE struct oh_format_block *claim_beyond(uint64_t hash, uint32_t count)
{
    bool no_room = false;
    for (;;) {
        struct oh_format_block *entry = claim_far(hash, count);
        if (entry != NULL)
            return entry;
        if (!oh_levels_open(&levels, count, &no_room))
            break;
        count = oh_levels_count(&levels);
        entry = claim_near(hash, count);
        if (entry != NULL)
            return entry;
    }
    oh_recording_count(no_room ? OH_COUNTER_dropped_no_room : OH_COUNTER_dropped_live_full);
    return NULL;
}

struct oh_format_block *oh_live_claim(uint64_t address, bool *replaced)
{
    uint64_t hash = oh_hash_mix(address);
    uint32_t count = oh_levels_count(&levels);
    *replaced = forget(hash, oh_block_key(address), count);
    struct oh_format_block *entry = claim_near(hash, count);
    return entry != NULL ? entry : claim_beyond(hash, count);
}

void oh_live_publish(struct oh_format_block *entry, const struct oh_block *block)
{
    oh_store_relaxed(&entry->facts, oh_block_facts(block));
    oh_store_release(&entry->place, oh_block_place(block));
}
