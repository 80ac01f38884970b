// SPDX-License-Identifier: Apache-2.0
#include "tables/live.h"

#include <stddef.h>

#include "base/atomic.h"
#include "offheap/hash.h"
#include "recording/recording.h"
#include "tables/levels.h"

static struct oh_levels levels;

void oh_live_init(void)
{
    oh_levels_init(&levels, OH_SECTION_LIVE, sizeof(uint64_t) + sizeof(struct oh_format_block));
}

// The facts beside an address word: they follow the level's array of words, in the same order.
static struct oh_format_block *facts_of(const struct oh_level *level, const uint64_t *word)
{
    uint64_t slots = level->buckets * OH_FORMAT_BUCKET_SLOTS;
    struct oh_format_block *facts =
        (struct oh_format_block *)(level->bytes + slots * sizeof(uint64_t));
    return &facts[word - (const uint64_t *)level->bytes];
}

static struct oh_format_block read_facts(const struct oh_format_block *facts)
{
    struct oh_format_block block = {
        .size = oh_load_relaxed(&facts->size),
        .weight = oh_load_relaxed(&facts->weight),
        .stack = oh_load32_relaxed(&facts->stack),
        .time_s = oh_load32_relaxed(&facts->time_s),
    };
    return block;
}

static void write_facts(struct oh_format_block *facts, const struct oh_format_block *block)
{
    oh_store_relaxed(&facts->size, block->size);
    oh_store_relaxed(&facts->weight, block->weight);
    oh_store32_relaxed(&facts->stack, block->stack);
    oh_store32_relaxed(&facts->time_s, block->time_s);
}

static uint64_t *find_word(const struct oh_level *level, uint64_t hash, uint64_t address,
                           uint32_t probes)
{
    for (uint32_t n = 0; n < probes; n++) {
        uint64_t *bucket = oh_level_bucket(level, hash, n);
        for (int i = 0; i < OH_FORMAT_BUCKET_SLOTS; i++) {
            if (oh_load_acquire(&bucket[i]) == address)
                return &bucket[i];
        }
    }
    return NULL;
}

static bool take_out(uint64_t address, uint32_t probes, struct oh_format_block *block)
{
    uint64_t hash = oh_hash_mix(address);
    for (uint32_t number = oh_levels_count(&levels); number-- > 0;) {
        const struct oh_level *level = &levels.level[number];
        uint64_t *word = find_word(level, hash, address, probes);
        if (word == NULL)
            continue;
        struct oh_format_block found = read_facts(facts_of(level, word));
        uint64_t expected = address;
        if (!oh_cas_acq_rel(word, &expected, OH_LIVE_EMPTY))
            return false;
        *block = found;
        return true;
    }
    return false;
}

bool oh_live_remove(uint64_t address, struct oh_format_block *block)
{
    return take_out(address, OH_LEVELS_PROBES, block);
}

// Makes a free word of the level BUSY, and it is the caller's.
static uint64_t *claim_word(const struct oh_level *level, uint64_t hash)
{
    for (uint32_t n = 0; n < OH_LEVELS_PROBES; n++) {
        uint64_t *bucket = oh_level_bucket(level, hash, n);
        for (int i = 0; i < OH_FORMAT_BUCKET_SLOTS; i++) {
            uint64_t empty = OH_LIVE_EMPTY;
            if (oh_load_relaxed(&bucket[i]) == OH_LIVE_EMPTY &&
                oh_cas_acq_rel(&bucket[i], &empty, OH_LIVE_BUSY))
                return &bucket[i];
        }
    }
    return NULL;
}

static bool enter(const struct oh_level *level, uint64_t hash, uint64_t address,
                  const struct oh_format_block *block)
{
    uint64_t *word = claim_word(level, hash);
    if (word == NULL)
        return false;
    write_facts(facts_of(level, word), block);
    oh_store_release(word, address);
    return true;
}

bool oh_live_insert(uint64_t address, const struct oh_format_block *block, bool *replaced,
                    struct oh_format_block *old)
{
    uint64_t hash = oh_hash_mix(address);
    bool no_room = false;
    // One bucket a level: the place where an unseen free almost always left its block, at the cost
    // of the cache line that the insertion needs anyway.
    *replaced = take_out(address, 1, old);
    for (;;) {
        uint32_t count = oh_levels_count(&levels);
        for (uint32_t number = count; number-- > 0;) {
            if (enter(&levels.level[number], hash, address, block))
                return true;
        }
        if (!oh_levels_open(&levels, count, &no_room))
            break;
    }
    oh_recording_count(no_room ? OH_COUNTER_dropped_no_room : OH_COUNTER_dropped_live_full);
    return false;
}
