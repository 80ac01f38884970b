// SPDX-License-Identifier: Apache-2.0
#include "profile/ranges.h"

#include <errno.h>

#include "base/atomic.h"
#include "offheap/paint.h"

enum { TRIES = 64 };

// The recording's words, when `current` was this.
struct reading {
    struct oh_view *view;
    const struct oh_format_map_log *log;
    uint64_t current;
    uint64_t first, count;
    const struct oh_format_range *table;
    uint64_t damaged;
    // Kept from one attempt to the next.
    struct oh_format_range *merged;
    struct oh_view_range *shown;
    uint64_t room;
};

static struct oh_format_range load_range(const struct oh_format_range *from)
{
    return (struct oh_format_range){oh_load_acquire(&from->begin), oh_load_acquire(&from->end),
                                    oh_load_acquire(&from->facts), oh_load_acquire(&from->call)};
}

static bool is_reserve(const void *arg, uint32_t stack)
{
    return oh_view_stack_kind(arg, stack) == OH_KIND_RESERVE;
}

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
    const struct oh_format_map_table *table =
        (const struct oh_format_map_table *)(level + number % OH_FORMAT_MAP_TABLES * bytes);
    reading->first = oh_load_acquire(&table->first);
    reading->count = oh_load_acquire(&table->count);
    reading->table = (const struct oh_format_range *)(table + 1);
    return oh_load_acquire(&table->generation) == reading->current >> OH_MAP_TABLE_BITS &&
           reading->count <= (bytes - sizeof *table) / sizeof *reading->table;
}

// Ranges that refer to what is not there are shown to the painter as empty ones.
static struct oh_format_range range_at(const void *arg, uint64_t number)
{
    const struct reading *reading = arg;
    struct oh_format_range range = load_range(&reading->table[number]);
    if (range.begin >= range.end || oh_view_stack_kind(reading->view, oh_range_stack(&range)) == 0)
        range.end = range.begin;
    return range;
}

static void paint_events(struct reading *reading, struct oh_paint *paint)
{
    uint64_t end = oh_load_acquire(&reading->log->next);
    if (end - reading->first > OH_FORMAT_MAP_EVENTS) {
        reading->damaged++;
        end = reading->first;
    }
    for (uint64_t ticket = reading->first; ticket < end; ticket++) {
        const struct oh_format_map_event *event =
            &reading->log->events[ticket % OH_FORMAT_MAP_EVENTS];
        uint64_t state = oh_load_acquire(&event->state);
        if (state != (ticket << OH_MAP_PHASE_BITS | OH_MAP_DONE) &&
            state != (ticket << OH_MAP_PHASE_BITS | OH_MAP_PENDING))
            continue;
        struct oh_format_range range = load_range(&event->range);
        uint32_t stack = oh_range_stack(&range);
        if (stack == 0 || oh_view_stack_kind(reading->view, stack) != 0)
            oh_paint_event(paint, &range, oh_load_acquire(&event->op));
        else
            reading->damaged++;
    }
}

static int make_room(struct reading *reading, struct oh_arena *arena, uint64_t room)
{
    if (room <= reading->room)
        return 0;
    reading->merged =
        oh_arena_array(arena, room, sizeof *reading->merged, _Alignof(struct oh_format_range));
    reading->shown =
        oh_arena_array(arena, room, sizeof *reading->shown, _Alignof(struct oh_view_range));
    reading->room = reading->merged != NULL && reading->shown != NULL ? room : 0;
    return reading->room != 0 ? 0 : -ENOMEM;
}

// A damaged table may be out of order: what overlaps what came before it is left out.
static void keep(struct reading *reading, uint64_t count, struct oh_view_ranges *ranges)
{
    uint64_t reached = 0;
    ranges->count = 0;
    ranges->ranges = reading->shown;
    for (uint64_t i = 0; i < count; i++) {
        const struct oh_format_range *range = &reading->merged[i];
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
}

static void put_range(void *to, uint64_t number, const struct oh_format_range *range)
{
    ((struct oh_format_range *)to)[number] = *range;
}

static int read_once(struct reading *reading, struct oh_paint_cell *cells, struct oh_arena *arena,
                     struct oh_view_ranges *ranges)
{
    struct oh_paint paint = {.cells = cells, .is_reserve = is_reserve, .arg = reading->view};
    if (!find_table(reading)) {
        reading->damaged++;
        return 0;
    }
    for (uint64_t i = 0; i < reading->count; i++) {
        struct oh_format_range range = range_at(reading, i);
        reading->damaged += range.begin == range.end;
    }
    paint_events(reading, &paint);
    // No more pieces than this: each edge of a cell cuts at most one range in two.
    int rc = make_room(reading, arena, reading->count + 2 * (uint64_t)paint.count + 1);
    if (rc != 0)
        return rc;
    struct oh_paint_merge merge = {reading, range_at, reading->count, 0};
    struct oh_paint_result result = {
        .put = put_range, .to = reading->merged, .room = reading->room};
    oh_paint_merge(&paint, &merge, &result);
    if (result.count > result.room) {
        reading->damaged++;
        result.count = result.room;
    }
    keep(reading, result.count, ranges);
    return 0;
}

int oh_ranges_read(struct oh_view *view, struct oh_arena *arena, struct oh_view_ranges *ranges)
{
    uint64_t bytes;
    *ranges = (struct oh_view_ranges){0};
    if (!oh_ranges_recorded(view))
        return 0;
    struct reading reading = {.view = view,
                              .log = oh_view_section(view, OH_SECTION_MAP_LOG, 0, &bytes)};
    struct oh_paint_cell *cells =
        oh_arena_array(arena, OH_PAINT_CELLS, sizeof *cells, _Alignof(struct oh_paint_cell));
    if (cells == NULL)
        return -ENOMEM;
    for (int i = 0; i < TRIES; i++) {
        *ranges = (struct oh_view_ranges){0};
        reading.damaged = 0;
        reading.current = oh_load_acquire(&reading.log->current);
        int rc = read_once(&reading, cells, arena, ranges);
        if (rc != 0)
            return rc;
        if (oh_load_acquire(&reading.log->current) == reading.current)
            break;
    }
    view->damaged += reading.damaged;
    return 0;
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
