// SPDX-License-Identifier: Apache-2.0
//
// The filter that lets a free of an unrecorded block pass after one look: 2^20 flags, one for each
// 64 bytes of address space (a granule) and shared by granules far apart. A flag that is clear
// means "not recorded" for certain; one that is set costs a look into the table. Private to the
// process, not in the recording. Granules in one aligned window of 64 MiB have different flags, and
// neighbours have neighbouring ones: a cache line of flags answers for 32 KiB of heap, and all of
// them are 128 KiB, since the lines of flags are what a program with a large heap pays for.
//
// Beside each flag, in memory that only recorded blocks touch, is a counter of the live blocks
// that share it: 0..13; CLEARING while the last of them is being removed; MAYBE for ever (the boot
// arena, a counter that overflowed). Transitions: n -> n + 1 (add), 13 -> MAYBE (add), n -> n - 1
// for n > 1 and 1 -> CLEARING -> 0 (remove), any -> MAYBE (pin, before anything is recorded).
// Writers: the recorder, before a block is entered (add) and after it was taken out, or could not
// be entered (remove), any thread. Readers: every free looks at the flag alone.
// Publication: add counts (acquire), then sets the flag, even if it is set; remove clears the flag
// between 1 -> CLEARING and CLEARING -> 0 (release), so that a later add's setting comes after it.
// A block that another thread frees was handed to it by the host's own synchronisation, which
// orders the flag, too.
// Progress: bounded tries. An add that meets CLEARING for so long gives up, and its caller must not
// record the block; a remove leaves the counter too high, which is a "maybe" too many.
// Dead writer: leaves nothing behind, the filter dies with its process.

#ifndef OH_TABLES_FILTER_H
#define OH_TABLES_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"

enum {
    OH_FILTER_BITS = 20,
    OH_FILTER_FLAGS = 1 << OH_FILTER_BITS,
    OH_FILTER_GRANULE_BITS = 6,
    OH_FILTER_GRANULE_BYTES = 1 << OH_FILTER_GRANULE_BITS,
    OH_FILTER_WORDS = OH_FILTER_FLAGS / 32
};

// Defined in filter.c; an extern because every free looks here first.
extern uint32_t oh_filter_flags[OH_FILTER_WORDS] OH_HIDDEN;

// The window's number is spread over all flags, because heaps begin alike: at a multiple of 64 MiB.
static inline uint32_t oh_filter_slot(uintptr_t address)
{
    const uint32_t odd = 0x9e3779b1u;
    uint32_t window = (uint32_t)(address >> (OH_FILTER_BITS + OH_FILTER_GRANULE_BITS));
    uint32_t spread = (window * odd) >> (32 - OH_FILTER_BITS);
    return ((uint32_t)(address >> OH_FILTER_GRANULE_BITS) ^ spread) & (OH_FILTER_FLAGS - 1);
}

static inline bool oh_filter_maybe(const void *block)
{
    uint32_t slot = oh_filter_slot((uintptr_t)block);
    return oh_load32_relaxed(&oh_filter_flags[slot / 32]) >> slot % 32 & 1;
}

// False: the block could not be entered, and its free would pass unseen.
bool oh_filter_add(const void *block);
void oh_filter_remove(const void *block);
// Answers "maybe" for every address in [start, start + bytes) from now on, or for all addresses.
// Before anything is recorded.
void oh_filter_pin(const void *start, size_t bytes);
void oh_filter_pin_all(void);

#endif
