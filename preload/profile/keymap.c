// SPDX-License-Identifier: Apache-2.0
//
// See keymap.h. Open addressing, at most half full.

#include "profile/keymap.h"

#include <errno.h>

#include "offheap/hash.h"

enum { FIRST_SLOTS = 256 };

// The key's slot, or the empty one where it belongs.
static struct oh_keymap_slot *find_slot(const struct oh_keymap *map, uint64_t key)
{
    size_t at = (size_t)oh_hash_mix(key) & (map->capacity - 1);
    while (map->slots[at].used != 0 && map->slots[at].key != key)
        at = (at + 1) & (map->capacity - 1);
    return &map->slots[at];
}

bool oh_keymap_find(const struct oh_keymap *map, uint64_t key, uint32_t *number)
{
    if (map->capacity == 0)
        return false;
    const struct oh_keymap_slot *slot = find_slot(map, key);
    if (slot->used == 0)
        return false;
    *number = slot->number;
    return true;
}

static int grow(struct oh_keymap *map, struct oh_arena *arena)
{
    struct oh_keymap larger = {.capacity = map->capacity == 0 ? FIRST_SLOTS : map->capacity * 2,
                               .count = map->count};
    larger.slots = oh_arena_array(arena, larger.capacity, sizeof *larger.slots,
                                  _Alignof(struct oh_keymap_slot));
    if (larger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used != 0)
            *find_slot(&larger, map->slots[i].key) = map->slots[i];
    }
    *map = larger;
    return 0;
}

int oh_keymap_put(struct oh_keymap *map, struct oh_arena *arena, uint64_t key, uint32_t number)
{
    if (map->count >= map->capacity / 2) {
        int rc = grow(map, arena);
        if (rc != 0)
            return rc;
    }
    struct oh_keymap_slot *slot = find_slot(map, key);
    if (slot->used == 0)
        map->count++;
    *slot = (struct oh_keymap_slot){key, number, 1};
    return 0;
}
