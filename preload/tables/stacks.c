// SPDX-License-Identifier: Apache-2.0
#include "tables/stacks.h"

#include <string.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "offheap/hash.h"
#include "recording/recording.h"
#include "tables/levels.h"

static struct oh_levels index_levels OH_READ_MOSTLY;
static struct oh_levels record_levels OH_READ_MOSTLY;

void oh_stacks_init(void)
{
    oh_levels_init(&index_levels, OH_SECTION_INDEX);
    oh_levels_init(&record_levels, OH_SECTION_STACKS);
}

struct oh_format_stack *oh_stacks_at(uint32_t reference)
{
    return oh_recording_at((uint64_t)reference * OH_FORMAT_STACK_ALIGN);
}

static uint64_t hash_of(const struct oh_stack_key *key)
{
    uint32_t attributes = oh_stack_attributes(key->kind, key->phase, key->end, key->shard);
    uint64_t frames = key->frames != 0 ? key->frames : oh_hash_frames(key->pcs, key->depth);
    return oh_hash_stack_of(key->epoch, attributes, frames, key->depth);
}

static bool is_same(const struct oh_format_stack *record, const struct oh_stack_key *key,
                    uint64_t hash)
{
    return record->hash == hash && record->epoch == key->epoch && record->depth == key->depth &&
           record->kind == key->kind && record->phase == key->phase && record->end == key->end &&
           record->shard == key->shard &&
           memcmp(record + 1, key->pcs, key->depth * sizeof *key->pcs) == 0;
}

static uint32_t reference_of(uint64_t word)
{
    return (uint32_t)word;
}

static uint32_t tag_of(uint64_t word)
{
    return (uint32_t)(word >> OH_INDEX_REF_BITS);
}

// Looks through one bucket: the stack's reference, or 0; *room is then its first empty word, if
// any. Words are filled in order and never emptied, so nothing stands behind an empty one.
static uint32_t search_bucket(uint64_t *bucket, const struct oh_stack_key *key, uint64_t hash,
                              uint64_t **room)
{
    *room = NULL;
    for (int i = 0; i < OH_FORMAT_BUCKET_SLOTS; i++) {
        uint64_t word = oh_load_acquire(&bucket[i]);
        if (word == 0) {
            *room = &bucket[i];
            return 0;
        }
        if (tag_of(word) == tag_of(hash) && is_same(oh_stacks_at(reference_of(word)), key, hash))
            return reference_of(word);
    }
    return 0;
}

// The stack's reference, or 0 with *slot on the word to put it in (NULL when all are taken).
static uint32_t search(const struct oh_stack_key *key, uint64_t hash, uint64_t **slot)
{
    *slot = NULL;
    for (uint32_t number = oh_levels_count(&index_levels); number-- > 0;) {
        const struct oh_level *level = &index_levels.level[number];
        uint64_t *room = NULL;
        // A stack goes into the first bucket with room, so behind such a bucket it cannot be.
        for (uint32_t n = 0; n < OH_LEVELS_PROBES && room == NULL; n++) {
            uint32_t found = search_bucket(oh_level_bucket(level, hash, n), key, hash, &room);
            if (found != 0)
                return found;
        }
        if (*slot == NULL)
            *slot = room;
    }
    return 0;
}

uint32_t oh_stacks_find(const struct oh_stack_key *key)
{
    uint64_t *slot;
    return search(key, hash_of(key), &slot);
}

static uint64_t take_record(uint32_t depth, bool *no_room)
{
    uint64_t bytes = sizeof(struct oh_format_stack) + depth * sizeof(uint64_t);
    bytes = (bytes + OH_FORMAT_STACK_ALIGN - 1) & ~(uint64_t)(OH_FORMAT_STACK_ALIGN - 1);
    for (;;) {
        uint32_t count = oh_levels_count(&record_levels);
        uint64_t at = oh_recording_take(record_levels.level[count - 1].section, bytes);
        if (at != 0 || !oh_levels_open(&record_levels, count, no_room))
            return at;
    }
}

static uint32_t write_record(const struct oh_stack_key *key, uint64_t hash, bool *no_room)
{
    uint64_t at = take_record(key->depth, no_room);
    if (at == 0)
        return 0;
    struct oh_format_stack *record = oh_recording_at(at);
    record->hash = hash;
    record->epoch = key->epoch;
    record->depth = key->depth;
    record->kind = key->kind;
    record->phase = key->phase;
    record->end = key->end;
    record->shard = key->shard;
    record->first_ns = oh_recording_now_ns();
    memcpy(record + 1, key->pcs, key->depth * sizeof *key->pcs);
    return (uint32_t)(at / OH_FORMAT_STACK_ALIGN);
}

// Publishes a written record: its reference, that of an equal stack that was faster, or 0 when
// every slot tried was taken by others.
static uint32_t publish(const struct oh_stack_key *key, uint64_t hash, uint32_t reference)
{
    uint64_t word = (hash >> OH_INDEX_REF_BITS << OH_INDEX_REF_BITS) | reference;
    for (int attempt = 0; attempt < OH_FORMAT_BUCKET_SLOTS * OH_LEVELS_PROBES; attempt++) {
        uint64_t *slot;
        uint32_t found = search(key, hash, &slot);
        if (found != 0)
            return found;
        if (slot == NULL)
            return 0;
        uint64_t empty = 0;
        if (oh_cas_acq_rel(slot, &empty, word))
            return reference;
    }
    return 0;
}

uint32_t oh_stacks_intern(const struct oh_stack_key *key)
{
    uint64_t hash = hash_of(key);
    uint64_t *slot;
    bool no_room = false;
    uint32_t found = search(key, hash, &slot);
    if (found != 0)
        return found;
    uint32_t reference = write_record(key, hash, &no_room);
    while (reference != 0) {
        uint32_t count = oh_levels_count(&index_levels);
        found = publish(key, hash, reference);
        if (found != 0)
            return found;
        if (!oh_levels_open(&index_levels, count, &no_room))
            break;
    }
    oh_recording_count(no_room ? OH_COUNTER_dropped_no_room : OH_COUNTER_dropped_stacks_full);
    return 0;
}
