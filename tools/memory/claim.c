// SPDX-License-Identifier: Apache-2.0
//
// Who owns what.

#include "memory/claim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/map_names.h"
#include "memory/own_maps.h"

// Pages that are read in search of threads: 256 MiB.
static const uint64_t thread_budget_pages = 65536;

struct oh_claiming {
    const struct oh_claim_facts *facts;
    struct oh_cover *cover;
    struct oh_claims claims; // Of the authority that is asked.
    uint64_t budget;
};

static bool is_anonymous(const struct oh_smap *map)
{
    return map->inode == 0 && map->name[0] == '\0';
}

static bool is_writable_memory(const struct oh_smap *map)
{
    return is_anonymous(map) && (map->permissions & OH_SMAP_WRITE) != 0;
}

static int merge(struct oh_claiming *c)
{
    return oh_cover_merge(c->cover, &c->claims);
}

// Calls find for every gap of every map that passes.
typedef bool oh_map_test_fn(const struct oh_smap *map);
typedef int oh_gap_fn(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end);

struct oh_gap_walk {
    struct oh_claiming *claiming;
    oh_gap_fn *fn;
    size_t map;
};

static int take_gap(void *arg, const struct oh_claim *piece)
{
    const struct oh_gap_walk *const walk = arg;
    return piece->part == OH_PART_UNCLAIMED
               ? walk->fn(walk->claiming, walk->map, piece->start, piece->end)
               : 0;
}

static int each_gap(struct oh_claiming *c, oh_map_test_fn *test, oh_gap_fn *fn)
{
    const struct oh_smaps *const smaps = c->facts->smaps;
    int result = 0;
    for (size_t i = 0; i < smaps->count && result == 0; i++) {
        struct oh_gap_walk walk = {.claiming = c, .fn = fn, .map = i};
        if (test(&smaps->maps[i])) {
            result =
                oh_cover_each(c->cover, smaps->maps[i].start, smaps->maps[i].end, take_gap, &walk);
        }
    }
    return result == 0 ? merge(c) : result;
}

// The same where maps that lie side by side are one, as what an allocator maps can become two by
// advice that a program gives for a part of a block (numpy wants huge pages inside of its arrays).
// fn gets the first of them.
static int each_joined_gap(struct oh_claiming *c, oh_map_test_fn *test, oh_gap_fn *fn)
{
    const struct oh_smaps *const smaps = c->facts->smaps;
    int result = 0;
    for (size_t i = 0; i < smaps->count && result == 0; i++) {
        struct oh_gap_walk walk = {.claiming = c, .fn = fn, .map = i};
        const struct oh_smap *const first = &smaps->maps[i];
        if (!test(first)) {
            continue;
        }
        while (i + 1 < smaps->count && test(&smaps->maps[i + 1]) &&
               smaps->maps[i + 1].start == smaps->maps[i].end) {
            i++;
        }
        result = oh_cover_each(c->cover, first->start, smaps->maps[i].end, take_gap, &walk);
    }
    return result == 0 ? merge(c) : result;
}

// The kernel's names, and files.
static int claim_named(struct oh_claiming *c)
{
    const struct oh_smaps *const smaps = c->facts->smaps;
    struct oh_map_names names;
    int result = oh_map_names_init(&names, smaps, c->facts->exe);
    for (size_t i = 0; i < smaps->count && result == 0; i++) {
        const enum oh_memory_part part = oh_map_names_part(&names, &smaps->maps[i]);
        // Memory without a file may be more than one thing, which the recording knows better.
        const bool is_known = part != OH_PART_UNCLAIMED && part != OH_PART_SHM;
        if (is_known) {
            result = oh_claims_add(&c->claims, smaps->maps[i].start, smaps->maps[i].end, part);
        }
    }
    oh_map_names_fini(&names);
    return result == 0 ? merge(c) : result;
}

static int claim_mapped(struct oh_claiming *c)
{
    int result = 0;
    for (size_t i = 0; i < c->facts->mapped_count && result == 0; i++) {
        const struct oh_mapped_range *const range = &c->facts->mapped[i];
        result = oh_claims_add(&c->claims, range->start, range->end, range->part);
    }
    return result == 0 ? merge(c) : result;
}

static int claim_shared(struct oh_claiming *c)
{
    const struct oh_smaps *const smaps = c->facts->smaps;
    int result = 0;
    for (size_t i = 0; i < smaps->count && result == 0; i++) {
        if (oh_map_names_is_shm(&smaps->maps[i])) {
            result =
                oh_claims_add(&c->claims, smaps->maps[i].start, smaps->maps[i].end, OH_PART_SHM);
        }
    }
    return result == 0 ? merge(c) : result;
}

// A module's static data that no file holds (.bss) lies inside of what it maps.
static int claim_module(void *arg, const struct oh_format_module *module, uint32_t number)
{
    (void)number;
    struct oh_claiming *const c = arg;
    if (module->last_epoch != UINT64_MAX || (module->flags & OH_MODULE_VDSO) != 0) {
        return 0;
    }
    const enum oh_memory_part part = (module->flags & OH_MODULE_SELF) != 0   ? OH_PART_RECORDER
                                     : (module->flags & OH_MODULE_MAIN) != 0 ? OH_PART_PROGRAM
                                                                             : OH_PART_LIBRARIES;
    return oh_claims_add(&c->claims, module->start, module->end, part);
}

static int find_arenas(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    (void)map;
    return oh_glibc_find_arenas(c->facts->pages, start, end, &c->claims);
}

static int find_threads(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    (void)map;
    return oh_glibc_find_threads(c->facts->pages, start, end, &c->budget, &c->claims);
}

static int find_blocks(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    (void)map;
    return oh_glibc_find_blocks(c->facts->pages, start, end, &c->claims);
}

static int find_recorder(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    (void)map;
    return oh_own_find_recorder(c->facts->pages, start, end, &c->claims);
}

static int claim_own(struct oh_claiming *c)
{
    if (!oh_pages_has_memory(c->facts->pages)) {
        return 0;
    }
    int result = each_joined_gap(c, is_writable_memory, find_arenas);
    if (result == 0) {
        result = each_joined_gap(c, is_writable_memory, find_threads);
    }
    if (result == 0) {
        result = each_joined_gap(c, is_writable_memory, find_blocks);
    }
    return result == 0 && c->facts->view != NULL ? each_gap(c, is_writable_memory, find_recorder)
                                                 : result;
}

static bool is_closed(const struct oh_smap *map)
{
    return is_anonymous(map) && map->permissions == 0;
}

// Without the memory, by the shape: what the kernel keeps huge pages out of, above a guard, is a
// thread's stack; what begins at a multiple of 64 MiB and is closed up to the next is an arena.
static int find_shape(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    const struct oh_smaps *const smaps = c->facts->smaps;
    const struct oh_smap *const maps = smaps->maps;
    const uint64_t arena_align = UINT64_C(64) << 20;
    const bool has_guard =
        map > 0 && maps[map - 1].end == maps[map].start && is_closed(&maps[map - 1]);
    const bool has_rest = map + 1 < smaps->count && maps[map + 1].start == maps[map].end &&
                          is_closed(&maps[map + 1]) && maps[map + 1].end % arena_align == 0;
    if (maps[map].is_stack && has_guard) {
        return oh_claims_add(&c->claims, start, end, OH_PART_STACKS);
    }
    return has_rest && start % arena_align == 0
               ? oh_claims_add(&c->claims, start, end, OH_PART_HEAP)
               : 0;
}

// Memory with a live block in it is its allocator's. glibc's own was found, if it could be read; of
// another's, of which nothing else is known, it is all that lies around the block.
static int find_live(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    (void)map;
    const struct oh_live *const live = c->facts->live;
    const enum oh_allocator allocator = c->facts->allocator;
    int result = 0;
    if (allocator != OH_ALLOCATOR_GLIBC || !oh_pages_has_memory(c->facts->pages)) {
        return oh_live_has(live, start, end) ? oh_claims_add(&c->claims, start, end, OH_PART_HEAP)
                                             : 0;
    }
    for (size_t i = oh_live_first(live, start);
         i < live->count && live->blocks[i].address < end && result == 0; i++) {
        const struct oh_live_block *const block = &live->blocks[i];
        const uint64_t last =
            block->address + oh_live_footprint(allocator, block->address, block->size);
        const uint64_t to = (last + OH_PAGE_BYTES - 1) / OH_PAGE_BYTES * OH_PAGE_BYTES;
        result = oh_claims_add(&c->claims, block->address / OH_PAGE_BYTES * OH_PAGE_BYTES,
                               to < end ? to : end, OH_PART_HEAP);
    }
    return result;
}

// Static data: writable memory right behind the pages of a program or a library.
static int find_behind(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    const struct oh_smap *const maps = c->facts->smaps->maps;
    if (map == 0 || maps[map - 1].end != start || maps[map - 1].inode == 0) {
        return 0;
    }
    const enum oh_memory_part part = oh_cover_part(c->cover, start - 1);
    const bool is_module =
        part == OH_PART_PROGRAM || part == OH_PART_LIBRARIES || part == OH_PART_RECORDER;
    return is_module ? oh_claims_add(&c->claims, start, end, part) : 0;
}

// Whether the map at this place is address space that is held for the future.
static bool is_reserve(const struct oh_smaps *smaps, size_t at, uint64_t edge)
{
    const uint64_t least = 1 << 20;
    if (at >= smaps->count || !is_closed(&smaps->maps[at])) {
        return false;
    }
    const struct oh_smap *const map = &smaps->maps[at];
    return map->end - map->start >= least && (map->start == edge || map->end == edge);
}

// Between the program and where libraries are mapped (and not beside either) there is nothing but
// Go's heap.
static int find_go_heap(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    const uint64_t lowest = UINT64_C(1) << 36;
    const uint64_t highest = UINT64_C(0x550000000000);
    (void)map;
    return start >= lowest && end <= highest ? oh_claims_add(&c->claims, start, end, OH_PART_GO)
                                             : 0;
}

// Go's tables begin and end in address space that it reserved. In a Go program without C everything
// without a name is Go's.
static int find_go(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    const struct oh_smaps *const smaps = c->facts->smaps;
    const bool is_table =
        !c->facts->has_mapped &&
        ((map > 0 && is_reserve(smaps, map - 1, start)) || is_reserve(smaps, map + 1, end));
    return is_table || !c->facts->has_libc ? oh_claims_add(&c->claims, start, end, OH_PART_GO) : 0;
}

// An allocator of which no block is recorded: what is left is taken to be its, when nothing else
// can be known.
static int find_foreign(struct oh_claiming *c, size_t map, uint64_t start, uint64_t end)
{
    (void)map;
    return oh_claims_add(&c->claims, start, end, OH_PART_HEAP);
}

static int claim_by_place(struct oh_claiming *c)
{
    const struct oh_claim_facts *const facts = c->facts;
    const bool was_read = oh_pages_has_memory(facts->pages) && c->budget > 0;
    int result = was_read ? 0 : each_gap(c, is_writable_memory, find_shape);
    if (result == 0 && facts->live != NULL) {
        result = each_joined_gap(c, is_writable_memory, find_live);
    }
    if (result == 0) {
        result = each_gap(c, is_writable_memory, find_behind);
    }
    if (result == 0 && facts->is_go) {
        result = each_gap(c, is_anonymous, find_go);
    }
    const bool is_foreign =
        !facts->has_mapped && !facts->is_go && facts->allocator != OH_ALLOCATOR_GLIBC;
    return result == 0 && is_foreign ? each_gap(c, is_writable_memory, find_foreign) : result;
}

int oh_claim_all(const struct oh_claim_facts *facts, struct oh_cover *cover)
{
    struct oh_claiming c = {.facts = facts, .cover = cover, .budget = thread_budget_pages};
    *cover = (struct oh_cover){0};
    int result = claim_named(&c);
    if (result == 0) {
        result = claim_mapped(&c);
    }
    if (result == 0) {
        result = claim_shared(&c);
    }
    if (result == 0 && facts->view != NULL) {
        result = oh_view_each_module(facts->view, claim_module, &c);
        result = result == 0 ? merge(&c) : result;
    }
    // What Go's heap holds looks like anything, and there may be much of it to search.
    if (result == 0 && facts->is_go) {
        result = each_gap(&c, is_anonymous, find_go_heap);
    }
    if (result == 0) {
        result = claim_own(&c);
    }
    if (result == 0) {
        result = claim_by_place(&c);
    }
    oh_claims_fini(&c.claims);
    if (result < 0) {
        oh_cover_fini(cover);
    }
    return result;
}
