// SPDX-License-Identifier: Apache-2.0
#include "tables/maps.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "recording/recording.h"
#include "tables/levels.h"
#include "tables/maps_log.h"
#include "tables/stacks.h"

enum {
    FOLD_AT = OH_FORMAT_MAP_EVENTS / 4, // Events that make a folding worth its while,
    MANY_RANGES = 4096,
    FOLD_MANY_AT = OH_FORMAT_MAP_EVENTS / 2,   // of so many ranges,
    PRESSED_AT = OH_FORMAT_MAP_EVENTS / 4 * 3, // and that leave no time to wait for others.
    FOLDERS = 6,
    TABLES = OH_FORMAT_MAX_LEVELS * OH_FORMAT_MAP_TABLES,
    TRIES = 1000, // For a place in the log. When it is full, some of them are waits:
    WAITS_A_FOLDING = 4,
    ANSWERS_UNTIL = 420, // From here on not even for the system's answer to a call.
    YIELDS = 400,
    SLEEP_NS = 100000,
};

// What a folding needs, for each that may be under way.
struct folder {
    uint32_t busy;
    struct oh_paint_cell cells[OH_PAINT_CELLS];
};

static struct {
    struct oh_format_map_log *log; // NULL: none.
    struct oh_levels levels;
} OH_OWN_LINES maps;

// Written while events are recorded.
static struct {
    uint64_t first;   // As in the table that holds, or less: only grows.
    uint64_t fold_at; // Events that make a folding worth its while.
    uint32_t folding;
    uint32_t table_busy[TABLES];
    struct folder folders[FOLDERS];
} OH_OWN_LINES work;

void oh_maps_init(void)
{
    struct oh_format_section *section = oh_recording_section(OH_SECTION_MAP_LOG, 0);
    if (section == NULL || !oh_recording_ready(section))
        return;
    oh_levels_init(&maps.levels, OH_SECTION_MAPS);
    work.fold_at = FOLD_AT;
    maps.log = oh_recording_at(section->offset);
}

bool oh_maps_ready(void)
{
    return maps.log != NULL;
}

// --- Words that two processes share

static void store_range(struct oh_format_range *to, const struct oh_format_range *range)
{
    oh_store_release(&to->begin, range->begin);
    oh_store_release(&to->end, range->end);
    oh_store_release(&to->facts, range->facts);
    oh_store_release(&to->call, range->call);
}

static enum oh_map_phase phase_of(uint64_t state)
{
    return (enum oh_map_phase)(state & ((1 << OH_MAP_PHASE_BITS) - 1));
}

static uint64_t table_bytes(uint32_t number)
{
    return maps.levels.level[number / OH_FORMAT_MAP_TABLES].section->bytes / OH_FORMAT_MAP_TABLES;
}

static uint64_t table_room(uint32_t number)
{
    return (table_bytes(number) - sizeof(struct oh_format_map_table)) /
           sizeof(struct oh_format_range);
}

static struct oh_format_map_table *table_at(uint32_t number)
{
    uint8_t *level = maps.levels.level[number / OH_FORMAT_MAP_TABLES].bytes;
    return (struct oh_format_map_table *)(level +
                                          number % OH_FORMAT_MAP_TABLES * table_bytes(number));
}

static struct oh_format_range *ranges_of(struct oh_format_map_table *table)
{
    return (struct oh_format_range *)(table + 1);
}

static uint32_t table_of(uint64_t current)
{
    return (uint32_t)(current & ((1 << OH_MAP_TABLE_BITS) - 1));
}

struct oh_maps_held oh_maps_held_now(void)
{
    uint64_t current = oh_load_acquire(&maps.log->current);
    uint32_t number = table_of(current);
    struct oh_format_map_table *table = table_at(number);
    struct oh_maps_held held = {current, oh_load_acquire(&table->first),
                                oh_load_acquire(&table->count), ranges_of(table)};
    uint64_t room = table_room(number);
    if (held.count > room) // Written anew meanwhile: whoever uses it will notice.
        held.count = room;
    return held;
}

struct oh_format_map_event *oh_maps_event_at(uint64_t ticket)
{
    return &maps.log->events[ticket % OH_FORMAT_MAP_EVENTS];
}

uint64_t oh_maps_next(void)
{
    return oh_load_acquire(&maps.log->next);
}

bool oh_maps_still_holds(const struct oh_maps_held *held)
{
    return oh_load_acquire(&maps.log->current) == held->current;
}

bool oh_maps_is_reserve(const void *arg, uint32_t stack)
{
    (void)arg;
    return oh_stacks_at(stack)->kind == OH_KIND_RESERVE;
}

// --- Folding

enum taken { TAKEN, PASSED_OVER, NOT_YET };

// What a folding waits for: all events before it, those whose call is under way, or none.
enum haste { AT_LEISURE, PRESSED, AT_LAST };

// Brings an event that is not ready out of the way; only when there is no time to wait for it.
static enum taken press(struct oh_format_map_event *event, uint64_t ticket, uint64_t state)
{
    uint64_t pressed = oh_maps_state_of(ticket, OH_MAP_SKIPPED);
    if (state == oh_maps_state_of(ticket, OH_MAP_PENDING))
        pressed = oh_maps_state_of(ticket, OH_MAP_DONE);
    else if (state == oh_maps_state_of(ticket, OH_MAP_WRITING))
        pressed = oh_maps_state_of(ticket, OH_MAP_ABANDONED);
    // Whoever was faster has made it ready, or is a folding that loses.
    if (!oh_cas_acq_rel(&event->state, &state, pressed))
        return NOT_YET;
    return phase_of(pressed) == OH_MAP_DONE ? TAKEN : PASSED_OVER;
}

static enum taken look_at(struct oh_format_map_event *event, uint64_t ticket, enum haste haste)
{
    bool pressed = haste != AT_LEISURE;
    uint64_t state = oh_load_acquire(&event->state);
    if (state >> OH_MAP_PHASE_BITS > ticket)
        return NOT_YET; // Used anew: this folding comes too late.
    if (state >> OH_MAP_PHASE_BITS < ticket) {
        // Held by the writer of an earlier one, or taken and not yet marked.
        if (phase_of(state) == OH_MAP_ABANDONED)
            return PASSED_OVER;
        return pressed ? press(event, ticket, state) : NOT_YET;
    }
    switch (phase_of(state)) {
    case OH_MAP_DONE: return TAKEN;
    case OH_MAP_VOID:
    case OH_MAP_SKIPPED:
    case OH_MAP_ABANDONED: return PASSED_OVER;
    case OH_MAP_PENDING: return haste == AT_LAST ? press(event, ticket, state) : NOT_YET;
    default: return pressed ? press(event, ticket, state) : NOT_YET;
    }
}

// Paints the events from `ticket` on, until one that is not ready; the ticket after the last.
static uint64_t paint_events(struct oh_paint *paint, uint64_t ticket, uint64_t end,
                             enum haste haste)
{
    if (haste == AT_LEISURE && end - ticket >= PRESSED_AT)
        haste = PRESSED;
    for (; ticket < end; ticket++) {
        struct oh_format_map_event *event = oh_maps_event_at(ticket);
        enum taken taken = look_at(event, ticket, haste);
        if (taken == NOT_YET)
            break;
        struct oh_format_range range = oh_maps_load_range(&event->range);
        if (taken == TAKEN)
            oh_paint_event(paint, &range, oh_load_acquire(&event->op));
    }
    return ticket;
}

struct oh_format_range oh_maps_range_at(const void *table, uint64_t number)
{
    const struct oh_maps_held *held = table;
    return oh_maps_load_range(&held->ranges[number]);
}

static uint64_t merged_count(const struct oh_paint *paint, struct oh_paint_merge *merge)
{
    struct oh_paint_result result = {.room = 0};
    oh_paint_merge(paint, merge, &result);
    return result.count;
}

// A free table of the level that is not the one that holds: it is the caller's until it is given
// back. They are taken in turn, so that one that held stays as it was for some more foldings, for
// who is still reading it.
static bool take_table(const struct oh_maps_held *held, uint32_t level, uint32_t *number)
{
    const uint64_t generation = (held->current >> OH_MAP_TABLE_BITS) + 1;
    for (uint32_t i = 0; i < OH_FORMAT_MAP_TABLES; i++) {
        uint32_t free = 0;
        *number =
            level * OH_FORMAT_MAP_TABLES + (uint32_t)((generation + i) % OH_FORMAT_MAP_TABLES);
        if (*number == table_of(held->current) ||
            !oh_cas32_acq_rel(&work.table_busy[*number], &free, 1))
            continue;
        // From here on it cannot become the one that holds; it may have done so just before.
        if (oh_maps_still_holds(held))
            return true;
        oh_store32_release(&work.table_busy[*number], 0);
        return false;
    }
    return false;
}

// A table for so many ranges, in the smallest level that has the room and a free one, else in the
// largest. False when all are taken.
static bool choose_table(const struct oh_maps_held *held, uint64_t count, uint32_t *number)
{
    bool no_room = false;
    uint32_t levels = oh_levels_count(&maps.levels);
    for (uint32_t level = 0; level < levels; level++) {
        if (table_room(level * OH_FORMAT_MAP_TABLES) >= count && take_table(held, level, number))
            return true;
        if (level + 1 == levels && oh_maps_still_holds(held) &&
            oh_levels_open(&maps.levels, levels, &no_room))
            levels = oh_levels_count(&maps.levels);
    }
    return take_table(held, levels - 1, number);
}

static void put_range(void *to, uint64_t number, const struct oh_format_range *range)
{
    store_range((struct oh_format_range *)to + number, range);
}

static void write_table(const struct oh_maps_held *held, const struct oh_paint *paint,
                        struct oh_paint_merge *merge, uint32_t number, uint64_t first, bool join)
{
    struct oh_format_map_table *table = table_at(number);
    struct oh_paint_result result = {
        .put = put_range, .to = ranges_of(table), .room = table_room(number), .join = join};
    oh_store_release(&table->generation, UINT64_MAX);
    oh_paint_merge(paint, merge, &result);
    uint64_t lost = result.count > result.room ? result.count - result.room : 0;
    uint64_t generation = (held->current >> OH_MAP_TABLE_BITS) + 1;
    uint64_t current = held->current;
    oh_store_release(&table->count, result.count - lost);
    oh_store_release(&table->first, first);
    oh_store_release(&table->generation, generation);
    if (!oh_cas_acq_rel(&maps.log->current, &current, generation << OH_MAP_TABLE_BITS | number))
        return;
    for (uint64_t i = 0; i < lost; i++)
        oh_recording_count(OH_COUNTER_dropped_maps_full);
    oh_store_relaxed(&work.fold_at, result.count < MANY_RANGES ? FOLD_AT : FOLD_MANY_AT);
    uint64_t known = oh_load_relaxed(&work.first);
    while (known < first && !oh_cas_acq_rel(&work.first, &known, first))
        continue;
}

static void fold(struct oh_paint_cell *cells, enum haste haste)
{
    struct oh_maps_held held = oh_maps_held_now();
    struct oh_paint paint = {.cells = cells, .is_reserve = oh_maps_is_reserve};
    uint64_t end = oh_load_acquire(&maps.log->next);
    if (!oh_maps_still_holds(&held) || end - held.first > OH_FORMAT_MAP_EVENTS)
        return;
    uint64_t first = paint_events(&paint, held.first, end, haste);
    if (first == held.first)
        return;
    struct oh_paint_merge merge = {&held, oh_maps_range_at, held.count, 0};
    // Mostly there is room in any case; else the ranges are counted.
    uint32_t number;
    uint64_t count = held.count + 2 * (uint64_t)paint.count;
    if (count > table_room(table_of(held.current)))
        count = merged_count(&paint, &merge);
    if (!choose_table(&held, count, &number))
        return;
    write_table(&held, &paint, &merge, number, first, count > table_room(number));
    oh_store32_release(&work.table_busy[number], 0);
}

// Outside of signal handlers: one that jumps away, or ends its thread, would keep the table.
struct oh_paint_cell *oh_maps_borrow_cells(uint64_t *blocked)
{
    (void)oh_sys_swap_signals(UINT64_MAX, blocked);
    for (uint32_t i = 0; i < FOLDERS; i++) {
        uint32_t free = 0;
        if (oh_cas32_acq_rel(&work.folders[i].busy, &free, 1))
            return work.folders[i].cells;
    }
    (void)oh_sys_swap_signals(*blocked, blocked);
    return NULL;
}

void oh_maps_return_cells(const struct oh_paint_cell *cells, uint64_t blocked)
{
    for (uint32_t i = 0; i < FOLDERS; i++) {
        if (work.folders[i].cells == cells)
            oh_store32_release(&work.folders[i].busy, 0);
    }
    (void)oh_sys_swap_signals(blocked, &blocked);
}

static OH_NOINLINE void fold_events(enum haste haste)
{
    uint64_t blocked;
    if (haste == AT_LEISURE && oh_load32_relaxed(&work.folding) != 0)
        return;
    struct oh_paint_cell *cells = oh_maps_borrow_cells(&blocked);
    if (cells == NULL)
        return;
    (void)oh_add32_relaxed(&work.folding, 1);
    fold(cells, haste);
    (void)oh_add32_relaxed(&work.folding, UINT32_MAX);
    oh_maps_return_cells(cells, blocked);
}

// --- Events

// The log is full: whoever folds it may have been stopped on this very processor.
static OH_COLD OH_NOINLINE void wait_for_room(int attempt)
{
    if (oh_sandbox_is_up()) // Asks for no system call more than a folding needs.
        fold_events(AT_LAST);
    else if (attempt % WAITS_A_FOLDING == 0)
        fold_events(attempt < ANSWERS_UNTIL ? PRESSED : AT_LAST);
    else if (attempt < YIELDS)
        (void)oh_sys_yield();
    else
        (void)oh_sys_nanosleep_ns(SLEEP_NS);
}

// A place in the log, WRITING, and its ticket. False: none could be had in time.
static bool claim(uint64_t *ticket)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t first = oh_load_acquire(&work.first);
        uint64_t next = oh_load_acquire(&maps.log->next); // After it, so never less.
        if (next - first >= OH_FORMAT_MAP_EVENTS) {
            wait_for_room(i);
            continue;
        }
        struct oh_format_map_event *event = oh_maps_event_at(next);
        uint64_t state = oh_load_acquire(&event->state);
        *ticket = next;
        if (!oh_cas_acq_rel(&maps.log->next, &next, next + 1) ||
            phase_of(state) == OH_MAP_ABANDONED)
            continue;
        if (oh_cas_acq_rel(&event->state, &state, oh_maps_state_of(*ticket, OH_MAP_WRITING)))
            return true;
    }
    oh_recording_count(OH_COUNTER_dropped_map_calls);
    return false;
}

// False: it came too late, and has to be added again.
static bool publish(uint64_t ticket, enum oh_map_phase phase)
{
    struct oh_format_map_event *event = oh_maps_event_at(ticket);
    uint64_t state = oh_maps_state_of(ticket, OH_MAP_WRITING);
    if (oh_cas_acq_rel(&event->state, &state, oh_maps_state_of(ticket, phase)))
        return true;
    oh_store_release(&event->state, oh_maps_state_of(ticket, OH_MAP_SKIPPED));
    return false;
}

static bool add(const struct oh_format_range *range, enum oh_map_op op, enum oh_map_phase phase,
                uint64_t *ticket)
{
    struct oh_format_range numbered = *range;
    do {
        if (!claim(ticket))
            return false;
        numbered.call = *ticket;
        store_range(&oh_maps_event_at(*ticket)->range, &numbered);
        oh_store_release(&oh_maps_event_at(*ticket)->op, op);
    } while (!publish(*ticket, phase));
    uint64_t used = *ticket - oh_load_relaxed(&work.first);
    if (used >= oh_load_relaxed(&work.fold_at) && used < UINT64_MAX / 2)
        fold_events(used >= PRESSED_AT ? PRESSED : AT_LEISURE);
    return true;
}

bool oh_maps_set(uint64_t begin, uint64_t end, uint32_t stack, uint32_t time_s)
{
    uint64_t ticket;
    const struct oh_format_range range = {begin, end, oh_range_facts(stack, time_s), 0};
    return add(&range, OH_MAP_SET, OH_MAP_DONE, &ticket);
}

bool oh_maps_commit(uint64_t begin, uint64_t end, uint32_t stack, uint32_t time_s)
{
    uint64_t ticket;
    const struct oh_format_range range = {begin, end, oh_range_facts(stack, time_s), 0};
    return add(&range, OH_MAP_COMMIT, OH_MAP_DONE, &ticket);
}

void oh_maps_begin_unset(struct oh_maps_unset *unset, uint64_t begin, uint64_t end)
{
    const struct oh_format_range range = {begin, end, 0, 0};
    unset->noted = add(&range, OH_MAP_SET, OH_MAP_PENDING, &unset->ticket);
}

void oh_maps_end_unset(const struct oh_maps_unset *unset, bool succeeded)
{
    uint64_t state = oh_maps_state_of(unset->ticket, OH_MAP_PENDING);
    if (!unset->noted)
        return;
    enum oh_map_phase phase = succeeded ? OH_MAP_DONE : OH_MAP_VOID;
    if (!oh_cas_acq_rel(&oh_maps_event_at(unset->ticket)->state, &state,
                        oh_maps_state_of(unset->ticket, phase)) &&
        !succeeded)
        oh_recording_count(OH_COUNTER_dropped_map_calls); // It was pressed, and is gone by now.
}
