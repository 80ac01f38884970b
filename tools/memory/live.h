// SPDX-License-Identifier: Apache-2.0
//
// The live malloc blocks of a recording in the order of their addresses, and what they add up to in
// a range: bytes asked for, and of these the resident ones. A block of a sampled recording stands
// for several; its residency stands for theirs.

#ifndef OH_MEMORY_LIVE_H
#define OH_MEMORY_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "process/pages.h"
#include "profile/view.h"

// Whose rules say what a block takes beside the bytes that were asked for.
enum oh_allocator {
    OH_ALLOCATOR_GLIBC,
    OH_ALLOCATOR_JEMALLOC,
    OH_ALLOCATOR_OTHER, // Not known: nothing is said.
};

struct oh_live_block {
    uint64_t address;
    uint64_t size;
    uint64_t weight; // As in struct oh_view_block.
    uint64_t bytes;
    uint32_t stack;
};

struct oh_live {
    struct oh_live_block *blocks;
    size_t count;
    uint32_t weight_shift;
    bool is_exact;
    uint64_t mean_bytes; // Between two samples.
};

// Bytes, but for the objects.
struct oh_live_sum {
    double objects;
    double allocated;
    double resident;
    double swapped;
    double variance;           // Of `resident`,
    double overhead;           // What the allocator adds to the resident ones.
    double footprint_variance; // and of `resident` with the overhead.
    double covered; // Resident bytes of pages that hold a part of a block; exact recordings only.
};

// 0 or -ENOMEM.
int oh_live_read(struct oh_view *view, struct oh_live *live);
void oh_live_fini(struct oh_live *live);

// Adds the blocks that begin in [start, end) to the sum. Without a page map all bytes are taken to
// be resident.
void oh_live_add(const struct oh_live *live, struct oh_pages *pages, enum oh_allocator allocator,
                 uint64_t start, uint64_t end, struct oh_live_sum *sum);

// Adds what was summed elsewhere, of whose resident bytes only this share is so.
void oh_live_sum_add(struct oh_live_sum *sum, const struct oh_live_sum *more, double share);

// To be called when all is added. What samples say of their own error is too little when they are
// few, and nothing when there is none: blocks of one mean between samples may be there unseen.
void oh_live_sum_finish(const struct oh_live *live, struct oh_live_sum *sum);

// The variance of the difference of what two moments have allocated (in one stack, when that is not
// NULL): a block that is in both adds nothing to it.
double oh_live_variance_between(const struct oh_live *older, const struct oh_live *newer,
                                const uint32_t *stack);

// Whether a block begins in [start, end).
bool oh_live_has(const struct oh_live *live, uint64_t start, uint64_t end);

// The first block at or after the address: its index, or the count.
size_t oh_live_first(const struct oh_live *live, uint64_t address);

// The variance of the bytes that a block stands for; 0 in an exact recording.
double oh_live_variance(const struct oh_live *live, const struct oh_live_block *block);

// Bytes that a block of this size, at this address, takes of the allocator's areas; at least size.
uint64_t oh_live_footprint(enum oh_allocator allocator, uint64_t address, uint64_t size);

#endif
