// SPDX-License-Identifier: Apache-2.0
//
// Random numbers that are the same in every run: splitmix64 over a seed of the test's own.

#ifndef OH_SUPPORT_RANDOM_H
#define OH_SUPPORT_RANDOM_H

#include <stdint.h>

#include "offheap/hash.h"

struct oh_random {
    uint64_t state;
};

static inline uint64_t oh_random_next(struct oh_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return oh_hash_mix(random->state);
}

static inline uint64_t oh_random_below(struct oh_random *random, uint64_t bound)
{
    return oh_random_next(random) % bound;
}

#endif
