// SPDX-License-Identifier: Apache-2.0
//
// What live blocks add up to by their stacks, at one moment.

#ifndef OH_MEMORY_STACK_SUMS_H
#define OH_MEMORY_STACK_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "memory/live.h"

struct oh_stack_sum {
    uint32_t stack;
    uint32_t blocks; // 0: nothing is in this place.
    double bytes;    // Allocated.
};

// A hash table: its places in no order. Zeroed is empty.
struct oh_stack_sums {
    struct oh_stack_sum *places;
    size_t room; // 0 or a power of two.
    size_t count;
};

// 0 or -ENOMEM.
int oh_stack_sums_make(const struct oh_live *live, struct oh_stack_sums *sums);
void oh_stack_sums_fini(struct oh_stack_sums *sums);

// The bytes of the stack, 0: it has none.
double oh_stack_sums_get(const struct oh_stack_sums *sums, uint32_t stack);

#endif
