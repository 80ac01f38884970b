// SPDX-License-Identifier: Apache-2.0
#include "profile/ranges.h"

#include <errno.h>

#include "base/atomic.h"
#include "offheap/paint.h"

enum { TRIES = 64 };

struct event {
    struct oh_format_range range;
    uint64_t op;
};

// The recording's words, when `current` was this; copied, since they change, and looked at then.
struct reading {
    struct oh_view *view;
    struct oh_arena *arena;
    const struct oh_format_map_log *log;
    uint64_t current;
    const struct oh_format_map_table *head;
    uint64_t first, count;
    bool without_events;
    struct oh_format_range *table;
    uint64_t table_room;
    struct event *events; // OH_FORMAT_MAP_EVENTS.
    uint64_t event_count;
    uint64_t damaged;
};

static struct oh_format_range load_range(const struct oh_format_range *from)
{
    return (struct oh_format_range){oh_load_acquire(&from->begin), oh_load_acquire(&from->end),
                                    oh_load_acquire(&from->facts), oh_load_acquire(&from->call)};
}

static uint64_t generation_of(const struct reading *reading)
{
    return reading->current >> OH_MAP_TABLE_BITS;
}

// --- Copying

// False when the word names no table that is there.
static bool find_table(struct reading *reading)
{
    uint32_t number = (uint32_t)reading->current & ((1 << OH_MAP_TABLE_BITS) - 1);
    uint64_t bytes;
    const uint8_t *level =
        oh_view_section(reading->view, OH_SECTION_MAPS, number / OH_FORMAT_MAP_TABLES, &bytes);
    if (level == NULL)
        return false;
    bytes /= OH_FORMAT_MAP_TABLES;
    reading->head =
        (const struct oh_format_map_table *)(level + number % OH_FORMAT_MAP_TABLES * bytes);
    reading->first = oh_load_acquire(&reading->head->first);
    reading->count = oh_load_acquire(&reading->head->count);
    return oh_load_acquire(&reading->head->generation) == generation_of(reading) &&
           reading->count <= (bytes - sizeof *reading->head) / sizeof *reading->table;
}

// Nothing of what was read has been written anew meanwhile.
static bool is_intact(const struct reading *reading)
{
    return oh_load_acquire(&reading->head->generation) == generation_of(reading) &&
           (reading->without_events ||
            oh_load_acquire(&reading->log->next) - reading->first <= OH_FORMAT_MAP_EVENTS);
}

static int copy_table(struct reading *reading)
{
    const struct oh_format_range *ranges = (const struct oh_format_range *)(reading->head + 1);
    if (reading->count > reading->table_room) {
        reading->table_room = reading->count;
        reading->table = oh_arena_array(reading->arena, reading->count, sizeof *reading->table,
                                        _Alignof(struct oh_format_range));
        if (reading->table == NULL)
            return -ENOMEM;
    }
    for (uint64_t i = 0; i < reading->count; i++)
        reading->table[i] = load_range(&ranges[i]);
    return 0;
}

static void copy_events(struct reading *reading)
{
    uint64_t end = oh_load_acquire(&reading->log->next);
    reading->event_count = 0;
    if (reading->without_events || end - reading->first > OH_FORMAT_MAP_EVENTS)
        return; // The latter is found out by is_intact.
    for (uint64_t ticket = reading->first; ticket < end; ticket++) {
        const struct oh_format_map_event *event =
            &reading->log->events[ticket % OH_FORMAT_MAP_EVENTS];
        uint64_t state = oh_load_acquire(&event->state);
        if (state == (ticket << OH_MAP_PHASE_BITS | OH_MAP_DONE) ||
            state == (ticket << OH_MAP_PHASE_BITS | OH_MAP_PENDING))
            reading->events[reading->event_count++] =
                (struct event){load_range(&event->range), oh_load_acquire(&event->op)};
    }
}

// A table that holds stays as it is for some foldings more, its events for a few; when these come
// too fast, the table alone is read, which is what was mapped a moment ago.
static int copy(struct reading *reading)
{
    const uint64_t next = oh_load_acquire(&reading->log->next);
    bool intact = false;
    for (int i = 0; i < TRIES && !intact; i++) {
        reading->count = reading->event_count = 0;
        reading->without_events = i >= TRIES / 2;
        reading->current = oh_load_acquire(&reading->log->current);
        if (!find_table(reading)) {
            reading->count = 0;
            continue;
        }
        int rc = copy_table(reading);
        if (rc != 0)
            return rc;
        copy_events(reading);
        intact = is_intact(reading);
    }
    // Nothing came, and yet there are too many: that is damage.
    bool overrun = reading->without_events && oh_load_acquire(&reading->log->next) == next;
    reading->damaged += !intact || overrun;
    return 0;
}

// --- Painting

static bool is_reserve(const void *arg, uint32_t stack)
{
    return oh_view_stack_kind(arg, stack) == OH_KIND_RESERVE;
}

static struct oh_format_range range_at(const void *table, uint64_t number)
{
    return ((const struct oh_format_range *)table)[number];
}

static void put_range(void *to, uint64_t number, const struct oh_format_range *range)
{
    ((struct oh_format_range *)to)[number] = *range;
}

// Ranges that refer to what is not there are shown to the painter as empty ones.
static void check_table(struct reading *reading)
{
    for (uint64_t i = 0; i < reading->count; i++) {
        struct oh_format_range *range = &reading->table[i];
        if (range->begin < range->end &&
            oh_view_stack_kind(reading->view, oh_range_stack(range)) != 0)
            continue;
        range->end = range->begin;
        reading->damaged++;
    }
}

static void paint_events(struct reading *reading, struct oh_paint *paint)
{
    for (uint64_t i = 0; i < reading->event_count; i++) {
        const struct event *event = &reading->events[i];
        uint32_t stack = oh_range_stack(&event->range);
        if (stack == 0 || oh_view_stack_kind(reading->view, stack) != 0)
            oh_paint_event(paint, &event->range, event->op);
        else
            reading->damaged++;
    }
}

// A damaged table may be out of order: what overlaps what came before it is left out.
static int show(struct reading *reading, const struct oh_format_range *merged, uint64_t count,
                struct oh_view_ranges *ranges)
{
    uint64_t reached = 0;
    ranges->ranges = oh_arena_array(reading->arena, count, sizeof *ranges->ranges,
                                    _Alignof(struct oh_view_range));
    if (ranges->ranges == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++) {
        const struct oh_format_range *range = &merged[i];
        if (range->begin < reached) {
            reading->damaged++;
            continue;
        }
        reached = range->end;
        ranges->ranges[ranges->count++] = (struct oh_view_range){
            .begin = range->begin,
            .end = range->end,
            .call = range->call,
            .stack = oh_range_stack(range),
            .time_s = oh_range_time_s(range),
            .kind = oh_view_stack_kind(reading->view, oh_range_stack(range)),
        };
    }
    return 0;
}

static int merge(struct reading *reading, struct oh_view_ranges *ranges)
{
    struct oh_paint paint = {.is_reserve = is_reserve, .arg = reading->view};
    paint.cells = oh_arena_array(reading->arena, OH_PAINT_CELLS, sizeof *paint.cells,
                                 _Alignof(struct oh_paint_cell));
    if (paint.cells == NULL)
        return -ENOMEM;
    check_table(reading);
    paint_events(reading, &paint);
    // No more pieces than this: each edge of a cell cuts at most one range in two.
    struct oh_paint_merge merge = {reading->table, range_at, reading->count, 0};
    struct oh_paint_result result = {.put = put_range,
                                     .room = reading->count + 2 * (uint64_t)paint.count + 1};
    struct oh_format_range *merged = oh_arena_array(reading->arena, result.room, sizeof *merged,
                                                    _Alignof(struct oh_format_range));
    if (merged == NULL)
        return -ENOMEM;
    result.to = merged;
    oh_paint_merge(&paint, &merge, &result);
    if (result.count > result.room) {
        reading->damaged++;
        result.count = result.room;
    }
    return show(reading, merged, result.count, ranges);
}

int oh_ranges_read(struct oh_view *view, struct oh_arena *arena, struct oh_view_ranges *ranges)
{
    uint64_t bytes;
    *ranges = (struct oh_view_ranges){0};
    if (!oh_ranges_recorded(view))
        return 0;
    struct reading reading = {
        .view = view, .arena = arena, .log = oh_view_section(view, OH_SECTION_MAP_LOG, 0, &bytes)};
    reading.events =
        oh_arena_array(arena, OH_FORMAT_MAP_EVENTS, sizeof *reading.events, _Alignof(struct event));
    if (reading.events == NULL)
        return -ENOMEM;
    int rc = copy(&reading);
    if (rc == 0)
        rc = merge(&reading, ranges);
    view->damaged += reading.damaged;
    return rc;
}

bool oh_ranges_recorded(const struct oh_view *view)
{
    uint64_t bytes;
    const void *log = oh_view_section(view, OH_SECTION_MAP_LOG, 0, &bytes);
    return log != NULL && bytes >= sizeof(struct oh_format_map_log);
}

const char *oh_kind_name(uint8_t kind)
{
    static const char *const names[OH_KIND_COUNT] = {NULL,  "malloc", "mmap",       "reserve",
                                                     "shm", "file",   "go-runtime", "allocator"};
    return kind < OH_KIND_COUNT ? names[kind] : NULL;
}
