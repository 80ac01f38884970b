// SPDX-License-Identifier: Apache-2.0
#include "capture/rows.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"

enum {
    ENTRY_BITS = 14,
    ENTRY_COUNT = 1 << ENTRY_BITS, // 512 KiB of zero pages, touched as they are used.
    // A head, from the lowest bit: busy, after_call, 47 bits of pc, a count of writes.
    HEAD_PC_SHIFT = 2,
    HEAD_COUNT_SHIFT = 49
};

static const uint64_t head_busy = 1;
static const uint64_t head_after_call = 2;
static const uint64_t head_name_mask = (UINT64_C(1) << HEAD_COUNT_SHIFT) - 2;

struct entry {
    uint64_t head;
    uint64_t word[OH_ROW_WORDS];
};

_Static_assert(sizeof(struct entry) == 32, "two entries on a cache line");

static struct entry entries[ENTRY_COUNT] OH_OWN_LINES;
static uint32_t current_generation OH_READ_MOSTLY;

static uint64_t name_of(const struct oh_row_key *key)
{
    uint64_t name = key->pc << HEAD_PC_SHIFT | (key->after_call ? head_after_call : 0);
    return name & head_name_mask;
}

static struct entry *entry_of(uint64_t name)
{
    return &entries[(name * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - ENTRY_BITS)];
}

uint32_t oh_rows_generation(void)
{
    return oh_load32_relaxed(&current_generation);
}

bool oh_rows_find(const struct oh_row_key *key, union oh_row *row)
{
    uint64_t name = name_of(key);
    const struct entry *entry = entry_of(name);
    uint64_t head = oh_load_acquire(&entry->head);
    if ((head & (head_name_mask | head_busy)) != name)
        return false;
    for (size_t i = 0; i < OH_ROW_WORDS; i++)
        row->word[i] = oh_load_acquire(&entry->word[i]);
    return oh_load_relaxed(&entry->head) == head && row->generation == key->generation;
}

void oh_rows_insert(const struct oh_row_key *key, const union oh_row *row)
{
    uint64_t name = name_of(key);
    struct entry *entry = entry_of(name);
    uint64_t head = oh_load_relaxed(&entry->head);
    if (head & head_busy)
        return;
    uint64_t next = ((head >> HEAD_COUNT_SHIFT) + 1) << HEAD_COUNT_SHIFT | name;
    if (!oh_cas_acq_rel(&entry->head, &head, next | head_busy))
        return;
    union oh_row stored = *row;
    stored.generation = key->generation;
    for (size_t i = 0; i < OH_ROW_WORDS; i++)
        oh_store_release(&entry->word[i], stored.word[i]);
    oh_store_release(&entry->head, next);
}

void oh_rows_forget(uint32_t seen)
{
    (void)oh_cas32_acq_rel(&current_generation, &seen, seen + 1);
}
