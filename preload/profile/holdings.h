// SPDX-License-Identifier: Apache-2.0
//
// What the stacks of a recording hold: the sums of its live blocks and mapped ranges, by stack.
// Read once, before the stacks, so that no block is in use that is not yet counted as allocated.
// The memory is the arena's. One thread at a time. Host-safe.

#ifndef OH_PROFILE_HOLDINGS_H
#define OH_PROFILE_HOLDINGS_H

#include <stdint.h>

#include "profile/arena.h"
#include "profile/keymap.h"
#include "profile/model.h"
#include "profile/view.h"

struct oh_writer_options;

// Of one stack. The variance is that of the estimate: a block of n bytes that stands for w objects
// was taken with probability 1/w; it adds w(w-1) to the variance of the objects, n*n*w(w-1) to that
// of the bytes.
struct oh_holding {
    uint64_t objects, bytes; // Objects in units of 2^-weight_shift.
    double objects_variance, bytes_variance;
    uint64_t older_bytes; // Of the bytes, those whose error is left out (errors_since_s).
    double residency[OH_RESIDENCY_COUNT];
};

struct oh_holdings {
    struct oh_view *view;
    const struct oh_writer_options *options;
    struct oh_arena *arena;
    struct oh_holding *list;
    uint32_t count, room;
    struct oh_keymap map; // A stack's reference to its number in the list.
    uint64_t looked;
};

// Reads all. options may be NULL: `stop`, `measure` and errors_since_s are of it. 0; -ENOMEM;
// -ETIMEDOUT.
int oh_holdings_read(struct oh_holdings *holdings, struct oh_view *view,
                     const struct oh_writer_options *options, struct oh_arena *arena);

// The variance of what the bytes of the stack changed by since errors_since_s, when that is not 0:
// of blocks that are live and were allocated since, and of those that were live then and are not
// now. Of these nothing is left but their sum, so they are taken to be as the stack's allocations
// are on the average.
double oh_holdings_bytes_variance(const struct oh_holdings *holdings,
                                  const struct oh_view_stack *stack);

// What the stack holds; zeros when nothing was found of it, or nothing was read.
struct oh_holding oh_holdings_of(const struct oh_holdings *holdings, uint32_t stack);

#endif
