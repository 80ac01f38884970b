// SPDX-License-Identifier: Apache-2.0
//
// The questions of tables/maps.h: what is mapped somewhere, how much is reserved, all ranges.
#include "tables/maps.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "tables/maps_log.h"

enum {
    FIND_TRIES = 8,
    PIECES = 8, // That are looked for one by one.
};

// From the newest event backwards. What decides the address is known when an event or a range
// covers it; those that lie beside it narrow what is decided by the same. A commit that covers it
// decides only if what is older is a reservation; the oldest such commit is the one that came upon
// it.
struct search {
    uint64_t address;
    struct oh_format_range piece;  // What is left between the neighbours.
    struct oh_format_range commit; // Stack 0: none.
};

// True when the range covers the address.
static bool narrow(struct search *search, const struct oh_format_range *range)
{
    struct oh_format_range *piece = &search->piece;
    if (range->end <= search->address) {
        piece->begin = range->end > piece->begin ? range->end : piece->begin;
        return false;
    }
    if (range->begin > search->address) {
        piece->end = range->begin < piece->end ? range->begin : piece->end;
        return false;
    }
    piece->begin = range->begin > piece->begin ? range->begin : piece->begin;
    piece->end = range->end < piece->end ? range->end : piece->end;
    return true;
}

static void decide(struct search *search, const struct oh_format_range *range)
{
    uint32_t stack = oh_range_stack(range);
    if (oh_range_stack(&search->commit) != 0 && stack != 0 && oh_maps_is_reserve(NULL, stack))
        range = &search->commit;
    search->piece.facts = range->facts;
    search->piece.call = range->call;
}

static bool search_events(struct search *search, const struct oh_maps_held *held)
{
    uint64_t end = oh_maps_next();
    for (uint64_t ticket = end; ticket-- > held->first;) {
        const struct oh_format_map_event *event = oh_maps_event_at(ticket);
        uint64_t state = oh_load_acquire(&event->state);
        struct oh_format_range range = oh_maps_load_range(&event->range);
        if ((state != oh_maps_state_of(ticket, OH_MAP_DONE) &&
             state != oh_maps_state_of(ticket, OH_MAP_PENDING)) ||
            range.begin >= range.end || !narrow(search, &range))
            continue;
        if (oh_load_acquire(&event->op) == OH_MAP_SET) {
            decide(search, &range);
            return true;
        }
        search->commit = range;
    }
    return false;
}

// The number of the first range of the table that ends after the address.
static uint64_t first_behind(const struct oh_maps_held *held, uint64_t address)
{
    uint64_t low = 0, high = held->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (oh_load_acquire(&held->ranges[middle].end) > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void search_table(struct search *search, const struct oh_maps_held *held)
{
    const struct oh_format_range nothing = {0};
    uint64_t low = first_behind(held, search->address);
    if (low > 0) {
        struct oh_format_range before = oh_maps_load_range(&held->ranges[low - 1]);
        (void)narrow(search, &before);
    }
    struct oh_format_range range = nothing;
    if (low < held->count)
        range = oh_maps_load_range(&held->ranges[low]);
    decide(search, low < held->count && narrow(search, &range) ? &range : &nothing);
}

bool oh_maps_find(uint64_t address, struct oh_format_range *piece)
{
    for (int i = 0; i < FIND_TRIES; i++) {
        struct search search = {.address = address, .piece = {.end = UINT64_MAX}};
        struct oh_maps_held held = oh_maps_held_now();
        if (!oh_maps_still_holds(&held))
            continue;
        if (!search_events(&search, &held))
            search_table(&search, &held);
        if (!oh_maps_still_holds(&held))
            continue;
        *piece = search.piece;
        return true;
    }
    return false;
}

// --- Many ranges

// What is mapped in [begin, end), from the table with the events painted over it.
struct area {
    uint64_t begin, end;
    uint64_t most; // Ranges of the table.
};

// A range that goes on is put again, longer: only what is new of it is given on.
struct giving {
    oh_maps_range_fn *fn;
    void *arg;
    uint64_t number; // From 1 on, of the last one,
    uint64_t end;    // and where it ended.
};

static void give(void *to, uint64_t number, const struct oh_format_range *range)
{
    struct giving *giving = to;
    struct oh_format_range piece = *range;
    if (giving->number == number + 1)
        piece.begin = giving->end;
    giving->number = number + 1;
    giving->end = range->end;
    giving->fn(giving->arg, &piece);
}

static void paint_ready(struct oh_paint *paint, uint64_t first, uint64_t end)
{
    for (uint64_t ticket = first; ticket < end; ticket++) {
        const struct oh_format_map_event *event = oh_maps_event_at(ticket);
        uint64_t state = oh_load_acquire(&event->state);
        struct oh_format_range range = oh_maps_load_range(&event->range);
        if (state == oh_maps_state_of(ticket, OH_MAP_DONE) ||
            state == oh_maps_state_of(ticket, OH_MAP_PENDING))
            oh_paint_event(paint, &range, oh_load_acquire(&event->op));
    }
}

// Those ranges of the table that reach into the area, and perhaps some that lie behind it.
static struct oh_maps_held part_of(const struct oh_maps_held *held, const struct area *area)
{
    uint64_t first = first_behind(held, area->begin), last = first_behind(held, area->end);
    struct oh_maps_held part = *held;
    part.ranges += first;
    part.count = (last < held->count ? last + 1 : held->count) - first;
    return part;
}

// False: too much changed meanwhile, and what fn was given is of no use.
static bool give_area(struct oh_paint_cell *cells, const struct area *area, oh_maps_range_fn *fn,
                      void *arg)
{
    struct oh_paint paint = {.cells = cells, .is_reserve = oh_maps_is_reserve};
    struct oh_maps_held held = oh_maps_held_now();
    uint64_t end = oh_maps_next();
    if (!oh_maps_still_holds(&held) || end - held.first > OH_FORMAT_MAP_EVENTS)
        return false;
    struct oh_maps_held part = part_of(&held, area);
    if (part.count > area->most)
        return false;
    paint_ready(&paint, held.first, end);
    if (!oh_maps_still_holds(&held)) // Else the stacks that events refer to may be none.
        return false;
    struct giving giving = {.fn = fn, .arg = arg};
    struct oh_paint_merge merge = {&part, oh_maps_range_at, part.count, 0};
    struct oh_paint_result result = {.put = give, .to = &giving, .room = UINT64_MAX};
    oh_paint_merge(&paint, &merge, &result);
    return oh_maps_still_holds(&held);
}

bool oh_maps_each_range(oh_maps_range_fn *fn, void *arg, uint64_t most)
{
    static struct oh_paint_cell cells[OH_PAINT_CELLS];
    const struct area everything = {0, UINT64_MAX, most};
    return give_area(cells, &everything, fn, arg);
}

// --- Reservations

struct reserved {
    uint64_t begin, end, bytes;
};

static void add_reserved(void *arg, const struct oh_format_range *range)
{
    struct reserved *reserved = arg;
    uint64_t begin = range->begin > reserved->begin ? range->begin : reserved->begin;
    uint64_t end = range->end < reserved->end ? range->end : reserved->end;
    uint32_t stack = oh_range_stack(range);
    if (begin < end && stack != 0 && oh_maps_is_reserve(NULL, stack))
        reserved->bytes += end - begin;
}

// In very many pieces, as where a heap is grown by giving access to all of it again and again.
static OH_NOINLINE uint64_t reserved_in_many(uint64_t begin, uint64_t end)
{
    const struct area area = {begin, end, UINT64_MAX};
    uint64_t blocked, bytes = end - begin; // No less than is reserved, when it cannot be told.
    struct oh_paint_cell *cells = oh_maps_borrow_cells(&blocked);
    if (cells == NULL)
        return bytes;
    for (int i = 0; i < FIND_TRIES; i++) {
        struct reserved reserved = {begin, end, 0};
        if (!give_area(cells, &area, add_reserved, &reserved))
            continue;
        bytes = reserved.bytes;
        break;
    }
    oh_maps_return_cells(cells, blocked);
    return bytes;
}

uint64_t oh_maps_reserved(uint64_t begin, uint64_t end)
{
    uint64_t bytes = 0;
    for (int i = 0; i < PIECES && begin < end; i++) {
        struct oh_format_range piece;
        if (!oh_maps_find(begin, &piece))
            return bytes;
        uint64_t stop = piece.end < end ? piece.end : end;
        uint32_t stack = oh_range_stack(&piece);
        if (stack != 0 && oh_maps_is_reserve(NULL, stack))
            bytes += stop - begin;
        begin = stop;
    }
    return begin < end ? bytes + reserved_in_many(begin, end) : bytes;
}
