// SPDX-License-Identifier: Apache-2.0
//
// Stacks whose live bytes rise through all looks: a slow leak in a process whose other memory goes up
// and down by much more. There are many stacks, and chance makes one of them rise: each must come
// close to a straight line, and by far exceed its own error. Pure.

#ifndef OH_MEMORY_RISERS_H
#define OH_MEMORY_RISERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/look.h"

enum { OH_RISERS_MAX = 8 };

struct oh_riser {
    uint32_t stack;
    double grown;    // Bytes, from the first look to the last.
    double variance; // Of that.
};

// The largest first.
struct oh_risers {
    struct oh_riser list[OH_RISERS_MAX];
    size_t count;
};

void oh_risers_find(const struct oh_look *looks, size_t count, struct oh_risers *risers);

bool oh_risers_has(const struct oh_risers *risers, uint32_t stack);

#endif
