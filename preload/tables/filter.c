// SPDX-License-Identifier: Apache-2.0
#include "tables/filter.h"

#include <string.h>

enum { TRIES = 64, COUNTER_BITS = 4, COUNTERS_A_WORD = 32 / COUNTER_BITS };

static const uint32_t count_most = 13;
static const uint32_t clearing = 14;
static const uint32_t maybe = 15; // All bits of a counter.

uint32_t oh_filter_flags[OH_FILTER_WORDS] OH_HIDDEN __attribute__((aligned(4096)));

static uint32_t counters[OH_FILTER_FLAGS / COUNTERS_A_WORD] __attribute__((aligned(4096)));
static bool all_pinned; // Written before anything is recorded.

static uint32_t *word_of(uint32_t slot)
{
    return &counters[slot / COUNTERS_A_WORD];
}

static uint32_t shift_of(uint32_t slot)
{
    return slot % COUNTERS_A_WORD * COUNTER_BITS;
}

static void set_flag(uint32_t slot)
{
    oh_or32_relaxed(&oh_filter_flags[slot / 32], UINT32_C(1) << slot % 32);
}

static void clear_flag(uint32_t slot)
{
    oh_and32_relaxed(&oh_filter_flags[slot / 32], ~(UINT32_C(1) << slot % 32));
}

// Replaces the counter of slot in *seen, which is what its word held; then as oh_cas32_acq_rel.
static bool change(uint32_t slot, uint32_t *seen, uint32_t counter)
{
    uint32_t others = *seen & ~(maybe << shift_of(slot));
    return oh_cas32_acq_rel(word_of(slot), seen, others | counter << shift_of(slot));
}

bool oh_filter_add(const void *block)
{
    if (all_pinned)
        return true;
    uint32_t slot = oh_filter_slot((uintptr_t)block);
    uint32_t seen = oh_load32_relaxed(word_of(slot));
    for (int i = 0; i < TRIES; i++) {
        uint32_t counter = seen >> shift_of(slot) & maybe;
        if (counter == maybe)
            return true;
        if (counter == clearing) {
            seen = oh_load32_relaxed(word_of(slot));
            continue;
        }
        if (change(slot, &seen, counter == count_most ? maybe : counter + 1)) {
            set_flag(slot);
            return true;
        }
    }
    return false;
}

void oh_filter_remove(const void *block)
{
    if (all_pinned)
        return;
    uint32_t slot = oh_filter_slot((uintptr_t)block);
    uint32_t seen = oh_load32_relaxed(word_of(slot));
    for (int i = 0; i < TRIES; i++) {
        uint32_t counter = seen >> shift_of(slot) & maybe;
        if (counter == 0 || counter == clearing || counter == maybe)
            return;
        if (!change(slot, &seen, counter == 1 ? clearing : counter - 1))
            continue;
        if (counter == 1) {
            clear_flag(slot);
            oh_and32_release(word_of(slot), ~(maybe << shift_of(slot)));
        }
        return;
    }
}

void oh_filter_pin(const void *start, size_t bytes)
{
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)(OH_FILTER_GRANULE_BYTES - 1);
    for (uintptr_t at = first; at < (uintptr_t)start + bytes; at += OH_FILTER_GRANULE_BYTES) {
        uint32_t slot = oh_filter_slot(at);
        oh_or32_relaxed(word_of(slot), maybe << shift_of(slot));
        set_flag(slot);
    }
}

void oh_filter_pin_all(void)
{
    all_pinned = true;
    memset(oh_filter_flags, 0xff, sizeof oh_filter_flags);
}
