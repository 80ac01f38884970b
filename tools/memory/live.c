// SPDX-License-Identifier: Apache-2.0
//
// Live blocks by address.

#include "memory/live.h"

#include <errno.h>
#include <stdlib.h>

enum {
    OH_LIVE_FIRST = 4096,
    OH_GLIBC_HEADER = 8,   // What a chunk takes before the block; 16 of a chunk of its own map.
    OH_GLIBC_CHUNK = 16,   // Chunks are multiples of it,
    OH_GLIBC_SMALLEST = 32 // and not smaller than this.
};

struct oh_live_build {
    struct oh_live *live;
    size_t room;
};

static int add_block(void *arg, const struct oh_view_block *block)
{
    struct oh_live_build *const build = arg;
    struct oh_live *const live = build->live;
    if (live->count == build->room) {
        build->room = build->room == 0 ? OH_LIVE_FIRST : build->room * 2;
        struct oh_live_block *const larger = realloc(live->blocks, build->room * sizeof larger[0]);
        if (larger == NULL) {
            return -ENOMEM;
        }
        live->blocks = larger;
    }
    live->blocks[live->count++] = (struct oh_live_block){.address = block->address,
                                                         .size = block->size,
                                                         .weight = block->weight,
                                                         .bytes = block->bytes,
                                                         .stack = block->stack};
    return 0;
}

static int compare_addresses(const void *a, const void *b)
{
    const struct oh_live_block *const x = a;
    const struct oh_live_block *const y = b;
    return (x->address > y->address) - (x->address < y->address);
}

// The mean of now: a budget moves it.
static uint64_t mean_of(const struct oh_format_header *header)
{
    const bool is_moved = header->budget.ppm != 0 && header->budget.mean < OH_FORMAT_MEANS;
    return is_moved ? header->means[header->budget.mean] : header->sample_bytes;
}

int oh_live_read(struct oh_view *view, struct oh_live *live)
{
    *live = (struct oh_live){.weight_shift = view->header->weight_shift,
                             .is_exact = view->header->mode == OH_MODE_EXACT,
                             .mean_bytes = mean_of(view->header)};
    struct oh_live_build build = {.live = live};
    const int result = oh_view_each_block(view, add_block, &build);
    if (result < 0) {
        oh_live_fini(live);
        return result;
    }
    if (live->count > 0) {
        qsort(live->blocks, live->count, sizeof live->blocks[0], compare_addresses);
    }
    return 0;
}

void oh_live_fini(struct oh_live *live)
{
    free(live->blocks);
    *live = (struct oh_live){0};
}

size_t oh_live_first(const struct oh_live *live, uint64_t address)
{
    size_t low = 0;
    size_t high = live->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (live->blocks[middle].address < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool oh_live_has(const struct oh_live *live, uint64_t start, uint64_t end)
{
    const size_t first = oh_live_first(live, start);
    return first < live->count && live->blocks[first].address < end;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

// A large block has a map of its own: it begins right behind a page's start, and pages are its unit.
static uint64_t glibc_footprint(uint64_t address, uint64_t size)
{
    const uint64_t own_header = (uint64_t)2 * OH_GLIBC_HEADER;
    const uint64_t least_of_own_map = 64 << 10;
    if (size >= least_of_own_map && address % OH_PAGE_BYTES == own_header) {
        return round_up(size + own_header, OH_PAGE_BYTES);
    }
    const uint64_t chunk = round_up(size + OH_GLIBC_HEADER, OH_GLIBC_CHUNK);
    return chunk > OH_GLIBC_SMALLEST ? chunk : OH_GLIBC_SMALLEST;
}

// Size classes: multiples of 16 up to 128, then four to each doubling.
static uint64_t jemalloc_footprint(uint64_t size)
{
    const uint64_t quantum = 16;
    if (size <= quantum / 2) {
        return quantum / 2;
    }
    if (size <= 8 * quantum) {
        return round_up(size, quantum);
    }
    const int log2_below = 63 - __builtin_clzll(size - 1);
    return round_up(size, UINT64_C(1) << (log2_below - 2));
}

uint64_t oh_live_footprint(enum oh_allocator allocator, uint64_t address, uint64_t size)
{
    switch (allocator) {
    case OH_ALLOCATOR_GLIBC: return glibc_footprint(address, size);
    case OH_ALLOCATOR_JEMALLOC: return jemalloc_footprint(size);
    case OH_ALLOCATOR_OTHER: break;
    }
    return size;
}

static void add_residency(const struct oh_live *live, const struct oh_live_block *block,
                          struct oh_residency part, uint64_t extra, struct oh_live_sum *sum)
{
    const double objects = (double)block->weight / (double)(UINT64_C(1) << live->weight_shift);
    const double resident = (double)part.resident;
    // A page of a block that was never touched has nothing of the rounding either.
    const bool is_small = block->size < OH_PAGE_BYTES;
    const double share = block->size == 0 ? 1
                         : is_small       ? (double)part.resident / (double)block->size
                                          : 1;
    const double overhead = (part.resident > 0 || block->size == 0 ? share : 0) * (double)extra;
    sum->objects += objects;
    sum->allocated += (double)block->bytes;
    sum->resident += resident * objects;
    sum->swapped += (double)part.swapped * objects;
    sum->overhead += overhead * objects;
    if (!live->is_exact && objects > 1) {
        const double footprint = resident + overhead;
        sum->variance += resident * resident * objects * (objects - 1);
        sum->footprint_variance += footprint * footprint * objects * (objects - 1);
    }
}

void oh_live_sum_add(struct oh_live_sum *sum, const struct oh_live_sum *more, double share)
{
    sum->objects += more->objects;
    sum->allocated += more->allocated;
    sum->resident += more->resident * share;
    sum->swapped += more->swapped;
    sum->variance += more->variance * share * share;
    sum->footprint_variance += more->footprint_variance * share * share;
    sum->overhead += more->overhead * share;
    sum->covered += more->covered * share;
}

void oh_live_sum_finish(const struct oh_live *live, struct oh_live_sum *sum)
{
    if (live->is_exact) {
        return;
    }
    const double unseen = (double)live->mean_bytes;
    const double unknown_ratio = 2; // Of small blocks, when there is none to go by.
    const double ratio = sum->resident > 0 ? 1 + sum->overhead / sum->resident : unknown_ratio;
    sum->variance += unseen * unseen;
    sum->footprint_variance += unseen * unseen * ratio * ratio;
}

void oh_live_add(const struct oh_live *live, struct oh_pages *pages, enum oh_allocator allocator,
                 uint64_t start, uint64_t end, struct oh_live_sum *sum)
{
    uint64_t covered_to = start;
    for (size_t i = oh_live_first(live, start); i < live->count && live->blocks[i].address < end;
         i++) {
        const struct oh_live_block *const block = &live->blocks[i];
        const uint64_t block_end = block->address + block->size;
        const uint64_t footprint = oh_live_footprint(allocator, block->address, block->size);
        const bool has_map = oh_pages_has_map(pages);
        const struct oh_residency part = has_map ? oh_pages_count(pages, block->address, block_end)
                                                 : (struct oh_residency){.resident = block->size};
        add_residency(live, block, part, footprint - block->size, sum);
        if (live->is_exact && has_map) {
            uint64_t first = block->address / OH_PAGE_BYTES * OH_PAGE_BYTES;
            first = first > covered_to ? first : covered_to;
            const uint64_t last = round_up(block->address + footprint, OH_PAGE_BYTES);
            sum->covered += (double)oh_pages_count(pages, first, last).resident;
            covered_to = last > covered_to ? last : covered_to;
        }
    }
}

static bool is_same(const struct oh_live_block *a, const struct oh_live_block *b)
{
    return a->address == b->address && a->size == b->size && a->stack == b->stack;
}

double oh_live_variance(const struct oh_live *live, const struct oh_live_block *block)
{
    const double objects = (double)block->weight / (double)(UINT64_C(1) << live->weight_shift);
    const double size = (double)block->size;
    return live->is_exact || objects <= 1 ? 0 : size * size * objects * (objects - 1);
}

static bool is_of(const struct oh_live_block *block, const uint32_t *stack)
{
    return stack == NULL || block->stack == *stack;
}

double oh_live_variance_between(const struct oh_live *older, const struct oh_live *newer,
                                const uint32_t *stack)
{
    double variance = 0;
    size_t i = 0;
    size_t k = 0;
    while (i < older->count || k < newer->count) {
        const struct oh_live_block *const a = i < older->count ? &older->blocks[i] : NULL;
        const struct oh_live_block *const b = k < newer->count ? &newer->blocks[k] : NULL;
        if (a != NULL && b != NULL && is_same(a, b)) {
            i++;
            k++;
        } else if (b == NULL || (a != NULL && a->address <= b->address)) {
            variance += is_of(a, stack) ? oh_live_variance(older, a) : 0;
            i++;
        } else {
            variance += is_of(b, stack) ? oh_live_variance(newer, b) : 0;
            k++;
        }
    }
    return variance;
}
