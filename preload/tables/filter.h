// SPDX-License-Identifier: Apache-2.0
//
// The filter that lets a free of an unrecorded block pass after one look: 2^20 one-byte counters,
// private to the process (not in the recording). The counter of an address counts the recorded
// live blocks that share it, so 0 means "not recorded" for certain; a neighbour in the same counter
// only costs a look into the table. Addresses in one aligned window of 16 MiB map to different
// counters, and neighbours to one cache line.
//
// States of a counter: 0..254 live blocks, 255 for ever "maybe" (the boot arena, exact mode, and a
// counter that overflowed). Writers: the recorder, after a block was entered (add) and when it was
// taken out (remove), any thread. Readers: every free. Orders: relaxed; a block that another thread
// frees was handed to it by the host's own synchronisation, which orders the counter, too.
// Progress: bounded tries, after which the counter is left at "maybe". A dead writer leaves
// nothing behind: the filter dies with its process.

#ifndef OH_TABLES_FILTER_H
#define OH_TABLES_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"

enum { OH_FILTER_BITS = 20, OH_FILTER_COUNTERS = 1 << OH_FILTER_BITS, OH_FILTER_MAYBE = 255 };

// Defined in filter.c; an extern because every free looks here first.
extern uint8_t oh_filter_counters[OH_FILTER_COUNTERS] OH_HIDDEN;

static inline uint32_t oh_filter_slot(uintptr_t address)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t window = (uint64_t)address >> (OH_FILTER_BITS + 4);
    uint64_t spread = (window * odd) >> (64 - OH_FILTER_BITS);
    return (uint32_t)(((address >> 4) ^ spread) & (OH_FILTER_COUNTERS - 1));
}

static inline bool oh_filter_maybe(const void *block)
{
    return oh_load8_relaxed(&oh_filter_counters[oh_filter_slot((uintptr_t)block)]) != 0;
}

void oh_filter_add(const void *block);
void oh_filter_remove(const void *block);
// Answers "maybe" for every address in [start, start + bytes) from now on, or for all addresses.
void oh_filter_pin(const void *start, size_t bytes);
void oh_filter_pin_all(void);

#endif
