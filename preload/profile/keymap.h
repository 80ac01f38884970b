// SPDX-License-Identifier: Apache-2.0
//
// A hash map from 64-bit keys to 32-bit numbers in an arena, for the writer's caches. Keys are not
// removed. One thread at a time. Host-safe.

#ifndef OH_PROFILE_KEYMAP_H
#define OH_PROFILE_KEYMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/arena.h"

struct oh_keymap_slot {
    uint64_t key;
    uint32_t number;
    uint32_t used;
};

// A zeroed map is an empty one.
struct oh_keymap {
    struct oh_keymap_slot *slots;
    size_t capacity; // A power of two, or 0.
    size_t count;
};

bool oh_keymap_find(const struct oh_keymap *map, uint64_t key, uint32_t *number);
// Puts the key in, or replaces its number. 0 or -ENOMEM.
int oh_keymap_put(struct oh_keymap *map, struct oh_arena *arena, uint64_t key, uint32_t number);

#endif
