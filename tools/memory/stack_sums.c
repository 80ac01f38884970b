// SPDX-License-Identifier: Apache-2.0
//
// Sums by stack: open addressing, at most half full.

#include "memory/stack_sums.h"

#include <errno.h>
#include <stdlib.h>

enum { OH_STACK_SUMS_FIRST = 256 };

// The place of the stack, or the empty one where it would be.
static struct oh_stack_sum *find(const struct oh_stack_sums *sums, uint32_t stack)
{
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)((stack * golden) >> 32) & (sums->room - 1);
    while (sums->places[at].blocks != 0 && sums->places[at].stack != stack) {
        at = (at + 1) & (sums->room - 1);
    }
    return &sums->places[at];
}

static int grow(struct oh_stack_sums *sums)
{
    struct oh_stack_sums larger = {.room = sums->room == 0 ? OH_STACK_SUMS_FIRST : sums->room * 2,
                                   .count = sums->count};
    larger.places = calloc(larger.room, sizeof larger.places[0]);
    if (larger.places == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < sums->room; i++) {
        if (sums->places[i].blocks != 0) {
            *find(&larger, sums->places[i].stack) = sums->places[i];
        }
    }
    free(sums->places);
    *sums = larger;
    return 0;
}

int oh_stack_sums_make(const struct oh_live *live, struct oh_stack_sums *sums)
{
    struct oh_stack_sums made = {0};
    for (size_t i = 0; i < live->count; i++) {
        const struct oh_live_block *const block = &live->blocks[i];
        if (made.count * 2 >= made.room && grow(&made) < 0) {
            oh_stack_sums_fini(&made);
            return -ENOMEM;
        }
        struct oh_stack_sum *const sum = find(&made, block->stack);
        made.count += sum->blocks == 0 ? 1 : 0;
        sum->stack = block->stack;
        sum->blocks += sum->blocks < UINT32_MAX ? 1 : 0;
        sum->bytes += (double)block->bytes;
    }
    *sums = made;
    return 0;
}

void oh_stack_sums_fini(struct oh_stack_sums *sums)
{
    free(sums->places);
    *sums = (struct oh_stack_sums){0};
}

double oh_stack_sums_get(const struct oh_stack_sums *sums, uint32_t stack)
{
    return sums->room == 0 ? 0 : find(sums, stack)->bytes;
}
