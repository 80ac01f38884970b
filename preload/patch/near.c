// SPDX-License-Identifier: Apache-2.0
#include "patch/near.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/maps.h"
#include "base/sys.h"

enum { PAGE_BYTES = 4096, MAP_TRIES = 4 };

// Of a jump, less what its operands may lie beyond [begin, end): an executable's data, say.
static const uint64_t reach_bytes = (UINT64_C(1) << 31) - (UINT64_C(64) << 20);
static const uint64_t lowest = 1 << 16; // The kernel keeps what is below from most programs.
static const uint64_t highest = (UINT64_C(1) << 47) - PAGE_BYTES;

void oh_near_init(struct oh_near_place *place, uint64_t begin, uint64_t end, uint64_t bytes)
{
    *place = (struct oh_near_place){.begin = begin, .end = end, .bytes = bytes, .last = lowest};
}

static void take_below(struct oh_near_place *place, uint64_t gap_begin, uint64_t gap_end)
{
    uint64_t least = place->end > reach_bytes ? place->end - reach_bytes : 0;
    if (least < gap_begin)
        least = gap_begin;
    if (gap_end >= place->bytes && gap_end - place->bytes >= least)
        place->below = gap_end - place->bytes; // The last one is the nearest.
}

static void take_above(struct oh_near_place *place, uint64_t gap_begin, uint64_t gap_end)
{
    uint64_t most = place->begin + reach_bytes;
    if (most > gap_end)
        most = gap_end;
    if (most >= place->bytes && most - place->bytes >= gap_begin)
        place->above = most - place->bytes;
}

void oh_near_add(struct oh_near_place *place, uint64_t map_begin, uint64_t map_end)
{
    if (map_begin > place->last) {
        if (map_begin <= place->begin)
            take_below(place, place->last, map_begin);
        else if (place->last >= place->end)
            take_above(place, place->last, map_begin);
    }
    if (map_end > place->last)
        place->last = map_end;
}

uint64_t oh_near_best(const struct oh_near_place *place)
{
    uint64_t best = place->below != 0 ? place->below : place->above;
    return best & ~(uint64_t)(PAGE_BYTES - 1);
}

static void add_map(const struct oh_map *map, void *place)
{
    oh_near_add(place, map->begin, map->end);
}

// Where the kernel likes: for a library that is mostly near enough, and quicker than a look at all
// maps.
static long map_anywhere(uint64_t begin, uint64_t end, size_t bytes)
{
    long mapped =
        oh_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (oh_sys_failed(mapped))
        return mapped;
    uint64_t at = (uint64_t)mapped;
    if ((at < begin ? end - at : at + bytes - begin) <= reach_bytes)
        return mapped;
    (void)oh_sys_munmap((void *)mapped, bytes);
    return -ENOMEM;
}

// A map that another thread makes meanwhile is not replaced: then once more.
long oh_near_map(uint64_t begin, uint64_t end, size_t bytes)
{
    long mapped = map_anywhere(begin, end, bytes);
    for (int i = 0; i < MAP_TRIES && oh_sys_failed(mapped); i++) {
        struct oh_near_place place;
        oh_near_init(&place, begin, end, bytes);
        int rc = oh_maps_each(add_map, &place);
        oh_near_add(&place, highest, highest);
        uint64_t best = oh_near_best(&place);
        if (rc < 0 || best == 0)
            return rc < 0 ? rc : -ENOMEM;
        mapped = oh_sys_mmap((void *)(uintptr_t)best, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (!oh_sys_failed(mapped) && (uint64_t)mapped != best) { // A kernel before 4.17.
            (void)oh_sys_munmap((void *)mapped, bytes);
            mapped = -ENOMEM;
        }
    }
    return mapped;
}
