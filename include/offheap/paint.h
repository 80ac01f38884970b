// SPDX-License-Identifier: Apache-2.0
//
// What is mapped, from a table of ranges and the events that came after it: each event paints over
// what was there before. The library (tables/maps) and the readers of a recording (profile/ranges)
// must come to the same ranges. Pure functions over the caller's memory, any thread.
//
// The events are painted one after the other onto an empty sheet, which then holds what they leave
// of each other; the sheet is merged with the table in one pass. n events cost n * n short moves
// and one look at each range.

#ifndef OFFHEAP_PAINT_H
#define OFFHEAP_PAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "offheap/format.h"

static inline uint32_t oh_range_stack(const struct oh_format_range *range)
{
    return (uint32_t)range->facts;
}

static inline uint32_t oh_range_time_s(const struct oh_format_range *range)
{
    return (uint32_t)(range->facts >> 32);
}

static inline uint64_t oh_range_facts(uint32_t stack, uint32_t time_s)
{
    return (uint64_t)time_s << 32 | stack;
}

// What the sheet shows in [range.begin, range.end): a range, nothing mapped (stack 0), or, with
// OH_MAP_COMMIT, a range wherever the table holds a reservation.
struct oh_paint_cell {
    struct oh_format_range range;
    uint64_t op; // enum oh_map_op.
};

// Cells in the order of their addresses, which do not overlap. Their edges are edges of events, so
// there are fewer than two for each event.
enum { OH_PAINT_CELLS = 2 * OH_FORMAT_MAP_EVENTS };

// Whether a stack (a reference as in an index word, not 0) is one of kind OH_KIND_RESERVE.
typedef bool oh_paint_reserve_fn(const void *arg, uint32_t stack);

struct oh_paint {
    struct oh_paint_cell *cells; // OH_PAINT_CELLS.
    uint32_t count;
    oh_paint_reserve_fn *is_reserve;
    const void *arg;
};

static inline bool oh_paint_is_reserve(const struct oh_paint *paint,
                                       const struct oh_format_range *range)
{
    return oh_range_stack(range) != 0 && paint->is_reserve(paint->arg, oh_range_stack(range));
}

// The number of the first cell that ends after the address.
static inline uint32_t oh_paint_search(const struct oh_paint *paint, uint64_t address)
{
    uint32_t low = 0, high = paint->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (paint->cells[middle].range.end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// One cell over whatever is there; of the cells at its edges the rest stays.
static inline void oh_paint_put(struct oh_paint *paint, const struct oh_paint_cell *cell)
{
    struct oh_paint_cell put[3];
    uint32_t puts = 0, from = oh_paint_search(paint, cell->range.begin), to = from;
    if (from < paint->count && paint->cells[from].range.begin < cell->range.begin) {
        put[puts] = paint->cells[from];
        put[puts++].range.end = cell->range.begin;
    }
    put[puts++] = *cell;
    while (to < paint->count && paint->cells[to].range.end <= cell->range.end)
        to++;
    if (to < paint->count && paint->cells[to].range.begin < cell->range.end) {
        put[puts] = paint->cells[to++];
        put[puts++].range.begin = cell->range.end;
    }
    if (paint->count - (to - from) + puts > OH_PAINT_CELLS)
        return; // Only where there were more events than there can be.
    memmove(&paint->cells[from + puts], &paint->cells[to],
            (paint->count - to) * sizeof *paint->cells);
    memcpy(&paint->cells[from], put, puts * sizeof *put);
    paint->count = paint->count - (to - from) + puts;
}

// A commit: over reservations of the sheet it is a range, where the sheet is empty it stays a
// commit, anything else it leaves.
static inline void oh_paint_commit(struct oh_paint *paint, const struct oh_format_range *range)
{
    for (uint64_t at = range->begin; at < range->end;) {
        uint32_t number = oh_paint_search(paint, at);
        const struct oh_paint_cell *cell = number < paint->count ? &paint->cells[number] : NULL;
        struct oh_paint_cell made = {*range, OH_MAP_COMMIT};
        bool paints = cell == NULL || cell->range.begin > at;
        uint64_t stop = cell == NULL ? range->end : paints ? cell->range.begin : cell->range.end;
        if (!paints && cell->op == OH_MAP_SET && oh_paint_is_reserve(paint, &cell->range)) {
            made.op = OH_MAP_SET;
            paints = true;
        }
        made.range.begin = at;
        made.range.end = at = stop < range->end ? stop : range->end;
        if (paints)
            oh_paint_put(paint, &made);
    }
}

// The next event. Events that make no sense change nothing.
static inline void oh_paint_event(struct oh_paint *paint, const struct oh_format_range *range,
                                  uint64_t op)
{
    const struct oh_paint_cell cell = {*range, op};
    if (range->begin >= range->end)
        return;
    if (op == OH_MAP_SET)
        oh_paint_put(paint, &cell);
    else if (op == OH_MAP_COMMIT && oh_range_stack(range) != 0)
        oh_paint_commit(paint, range);
}

// --- The sheet over a table

typedef struct oh_format_range oh_paint_range_fn(const void *table, uint64_t number);

typedef void oh_paint_put_fn(void *to, uint64_t number, const struct oh_format_range *range);

// Where the result goes. With `join`, neighbours of one stack become one range: bytes are kept, the
// number of calls is not.
struct oh_paint_result {
    oh_paint_put_fn *put; // Called for a number again when its range goes on. NULL: only counts.
    void *to;
    uint64_t room;
    uint64_t count; // May exceed the room: the ranges beyond are lost.
    struct oh_format_range last;
    bool join;
};

// Whether the range only goes on with the last one: pieces of one call, cut at the edges of others.
static inline bool oh_paint_is_one(const struct oh_paint_result *result,
                                   const struct oh_format_range *range)
{
    const struct oh_format_range *last = &result->last;
    return last->end == range->begin && oh_range_stack(last) == oh_range_stack(range) &&
           (result->join || last->call == range->call);
}

static inline void oh_paint_emit(struct oh_paint_result *result,
                                 const struct oh_format_range *range)
{
    if (range->begin >= range->end)
        return;
    if (result->count != 0 && oh_paint_is_one(result, range))
        result->last.end = range->end;
    else {
        result->last = *range;
        result->count++;
    }
    if (result->put != NULL && result->count <= result->room)
        result->put(result->to, result->count - 1, &result->last);
}

struct oh_paint_merge {
    const void *table;
    oh_paint_range_fn *range_at;
    uint64_t count; // Ranges of the table,
    uint64_t next;  // and the first one that is not yet behind us.
};

// What the table holds in [from, to), which `over` replaces where it is a reservation.
static inline void oh_paint_copy(const struct oh_paint *paint, struct oh_paint_merge *merge,
                                 uint64_t from, uint64_t to, const struct oh_format_range *over,
                                 struct oh_paint_result *result)
{
    for (; merge->next < merge->count; merge->next++) {
        const struct oh_format_range held = merge->range_at(merge->table, merge->next);
        struct oh_format_range part = held;
        if (held.begin >= to)
            return;
        if (over != NULL && held.end > from && oh_paint_is_reserve(paint, &held))
            part = *over;
        part.begin = held.begin > from ? held.begin : from;
        part.end = held.end < to ? held.end : to;
        oh_paint_emit(result, &part);
        if (held.end > to)
            return;
    }
}

// All ranges, in the order of their addresses.
static inline void oh_paint_merge(const struct oh_paint *paint, struct oh_paint_merge *merge,
                                  struct oh_paint_result *result)
{
    uint64_t at = 0;
    merge->next = 0;
    for (uint32_t i = 0; i < paint->count; i++) {
        const struct oh_paint_cell *cell = &paint->cells[i];
        oh_paint_copy(paint, merge, at, cell->range.begin, NULL, result);
        at = cell->range.end;
        if (cell->op == OH_MAP_COMMIT) {
            oh_paint_copy(paint, merge, cell->range.begin, at, &cell->range, result);
        } else if (oh_range_stack(&cell->range) != 0) {
            oh_paint_emit(result, &cell->range);
        }
    }
    oh_paint_copy(paint, merge, at, UINT64_MAX, NULL, result);
}

#endif
