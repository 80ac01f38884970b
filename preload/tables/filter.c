// SPDX-License-Identifier: Apache-2.0
#include "tables/filter.h"

#include <string.h>

enum { TRIES = 64, BLOCK_ALIGN = 16 };

uint8_t oh_filter_counters[OH_FILTER_COUNTERS] OH_HIDDEN __attribute__((aligned(64)));

static void change(const void *block, int step)
{
    uint8_t *counter = &oh_filter_counters[oh_filter_slot((uintptr_t)block)];
    uint8_t seen = oh_load8_relaxed(counter);
    for (int i = 0; i < TRIES; i++) {
        if (seen == OH_FILTER_MAYBE || (seen == 0 && step < 0))
            return;
        if (oh_cas8_relaxed(counter, &seen, (uint8_t)(seen + step)))
            return;
    }
    oh_store8_relaxed(counter, OH_FILTER_MAYBE);
}

void oh_filter_add(const void *block)
{
    change(block, 1);
}

void oh_filter_remove(const void *block)
{
    change(block, -1);
}

void oh_filter_pin(const void *start, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += BLOCK_ALIGN)
        oh_store8_relaxed(&oh_filter_counters[oh_filter_slot((uintptr_t)start + at)],
                          OH_FILTER_MAYBE);
}

void oh_filter_pin_all(void)
{
    memset(oh_filter_counters, OH_FILTER_MAYBE, sizeof oh_filter_counters);
}
