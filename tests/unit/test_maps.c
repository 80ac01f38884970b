// SPDX-License-Identifier: Apache-2.0
#include "tables/maps.h"

#include <string.h>

#include "base/atomic.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/stacks.h"

enum { STACKS = 6, PAGE = 4096 };

static const uint64_t base = UINT64_C(0x7e0000000000);
static uint32_t stacks[STACKS + 1]; // From 1 on: as in an event.
static const uint8_t kinds[STACKS + 1] = {
    0, OH_KIND_MMAP, OH_KIND_RESERVE, OH_KIND_RESERVE, OH_KIND_SHM, OH_KIND_FILE, OH_KIND_MMAP};

static void begin(const char *dir, uint64_t max_bytes)
{
    struct oh_config config;
    oh_tables_config(&config, dir, max_bytes);
    oh_tables_begin(&config);
    oh_require(oh_maps_ready());
    for (uint64_t i = 1; i <= STACKS; i++)
        stacks[i] = oh_tables_stack(kinds[i], i);
}

static uint64_t page(uint64_t n)
{
    return base + n * PAGE;
}

static void set(uint64_t from, uint64_t to, int stack)
{
    oh_require(oh_maps_set(page(from), page(to), stacks[stack], 5));
}

static void unset(uint64_t from, uint64_t to, bool succeeds)
{
    struct oh_maps_unset unset;
    oh_maps_begin_unset(&unset, page(from), page(to));
    oh_maps_end_unset(&unset, succeeds);
}

// The ranges are exactly these: pages from, to, and stack, three numbers each, in order.
static void must_be(const int *wanted, uint64_t count)
{
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    oh_tables_ranges(&arena, &ranges);
    oh_require_equal(ranges.count, count);
    for (uint64_t i = 0; i < count; i++) {
        oh_require_equal(ranges.ranges[i].begin, page((uint64_t)wanted[3 * i]));
        oh_require_equal(ranges.ranges[i].end, page((uint64_t)wanted[3 * i + 1]));
        oh_require_equal(ranges.ranges[i].stack, stacks[wanted[3 * i + 2]]);
        oh_require_equal(ranges.ranges[i].kind, kinds[wanted[3 * i + 2]]);
        oh_require_equal(ranges.ranges[i].time_s, 5);
    }
    oh_arena_fini(&arena);
}
#define MUST_BE(...) \
    must_be((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int) / 3)

static void cuts_and_replaces(void *dir)
{
    begin(dir, OH_TABLES_SMALLEST);
    must_be(NULL, 0);
    // when a map is made, cut in the middle, and cut at its ends
    set(10, 20, 1);
    MUST_BE(10, 20, 1);
    unset(14, 16, true);
    MUST_BE(10, 14, 1, 16, 20, 1);
    unset(8, 11, true);
    unset(19, 30, true);
    MUST_BE(11, 14, 1, 16, 19, 1);
    // another one over both, which leaves its ends
    set(13, 17, 4);
    MUST_BE(11, 13, 1, 13, 17, 4, 17, 19, 1);
    // neighbours with one stack stay two calls
    set(19, 22, 1);
    MUST_BE(11, 13, 1, 13, 17, 4, 17, 19, 1, 19, 22, 1);
    // a call that failed
    unset(0, 100, false);
    MUST_BE(11, 13, 1, 13, 17, 4, 17, 19, 1, 19, 22, 1);
    unset(0, 100, true);
    must_be(NULL, 0);
}

static void test_maps_are_cut_and_replaced_to_the_byte(void **state)
{
    (void)state;
    oh_scratch_run(cuts_and_replaces);
}

static void commits_what_is_reserved(void *dir)
{
    begin(dir, OH_TABLES_SMALLEST);
    set(10, 20, 2);
    set(20, 25, 1);
    set(30, 40, 3);
    oh_require_equal(oh_maps_reserved(page(0), page(100)), 20 * PAGE);
    oh_require_equal(oh_maps_reserved(page(15), page(32)), 7 * PAGE);
    // when
    oh_require(oh_maps_commit(page(15), page(32), stacks[6], 5));
    // then only reservations have changed
    MUST_BE(10, 15, 2, 15, 20, 6, 20, 25, 1, 30, 32, 6, 32, 40, 3);
    oh_require_equal(oh_maps_reserved(page(15), page(32)), 0);
    // and a second one finds nothing to commit
    oh_require(oh_maps_commit(page(0), page(34), stacks[1], 5));
    MUST_BE(10, 15, 1, 15, 20, 6, 20, 25, 1, 30, 32, 6, 32, 34, 1, 34, 40, 3);
    oh_require_equal(oh_maps_reserved(0, UINT64_MAX), 6 * PAGE);
}

static void commits_many_pieces(void *dir)
{
    begin(dir, OH_TABLES_SMALLEST);
    for (uint64_t i = 0; i < 100; i++)
        set(3 * i, 3 * i + 2, i % 2 == 0 ? 2 : 3);
    oh_require_equal(oh_maps_reserved(page(0), page(300)), 200 * PAGE);
    oh_require_equal(oh_maps_reserved(page(0), page(60)), 40 * PAGE);
    oh_require_equal(oh_maps_reserved(page(1), page(299)), 199 * PAGE);
    // As a heap grows: access to all of it, again and again.
    set(0, 10000, 2);
    for (uint64_t i = 1; i <= 1000; i++) {
        oh_require_equal(oh_maps_reserved(page(0), page(i)), PAGE);
        oh_require(oh_maps_commit(page(0), page(i), stacks[6], 5));
    }
    oh_require_equal(oh_maps_reserved(page(0), page(10000)), 9000 * PAGE);
}

static void test_reserved_bytes_of_many_pieces_are_exact(void **state)
{
    (void)state;
    oh_scratch_run(commits_many_pieces);
}

static void test_commit_changes_reservations_and_nothing_else(void **state)
{
    (void)state;
    oh_scratch_run(commits_what_is_reserved);
}

static void is_found(void *dir)
{
    struct oh_format_range piece;
    begin(dir, OH_TABLES_SMALLEST);
    oh_require(oh_maps_find(page(3), &piece));
    oh_require(oh_range_stack(&piece) == 0 && piece.begin == 0 && piece.end == UINT64_MAX);
    set(10, 20, 1);
    set(15, 16, 4);
    oh_require(oh_maps_find(page(16), &piece));
    oh_require(oh_range_stack(&piece) == stacks[1]);
    oh_require(piece.begin == page(16) && piece.end == page(20));
    oh_require(oh_maps_find(page(16) - 1, &piece));
    oh_require(piece.begin == page(15) && piece.end == page(16));
    oh_require(oh_maps_find(page(20), &piece));
    oh_require(oh_range_stack(&piece) == 0 && piece.begin == page(20));
    // in a table, too
    for (int i = 0; i < OH_FORMAT_MAP_EVENTS; i++)
        set(500, 501, 1);
    oh_require(oh_maps_find(page(25), &piece));
    oh_require(oh_range_stack(&piece) == 0);
    oh_require(piece.begin == page(20) && piece.end == page(500));
    oh_require(oh_maps_find(page(12), &piece));
    oh_require(piece.begin == page(10) && piece.end == page(15));
    // while a call that unmaps is under way, and when it has failed
    struct oh_maps_unset unset;
    oh_maps_begin_unset(&unset, page(17), page(18));
    oh_require(oh_maps_find(page(17), &piece) && oh_range_stack(&piece) == 0);
    oh_maps_end_unset(&unset, false);
    oh_require(oh_maps_find(page(17), &piece) && oh_range_stack(&piece) == stacks[1]);
}

static void test_find_tells_the_piece_around_an_address(void **state)
{
    (void)state;
    oh_scratch_run(is_found);
}

// --- A million random operations against one word for each page

enum { PAGES = 2048, OPERATIONS = 1000000, LOOK_EVERY = 1999 };

struct model {
    uint32_t stack[PAGES]; // 0: not mapped.
    uint32_t call[PAGES];  // Number of the operation that mapped it.
};

static bool is_reserved(uint32_t stack)
{
    return stack == stacks[2] || stack == stacks[3];
}

static void paint(struct model *model, uint64_t from, uint64_t to, uint32_t stack, uint32_t call,
                  bool commits)
{
    for (uint64_t i = from; i < to; i++) {
        if (commits && !is_reserved(model->stack[i]))
            continue;
        model->stack[i] = stack;
        model->call[i] = call;
    }
}

static void one_operation(struct model *model, struct oh_random *random, uint32_t number)
{
    uint64_t from = oh_random_below(random, PAGES);
    uint64_t most = UINT64_C(1) << oh_random_below(random, 12);
    uint64_t to = from + 1 + oh_random_below(random, most);
    uint32_t stack = stacks[1 + oh_random_below(random, STACKS)];
    to = to < PAGES ? to : PAGES;
    switch (oh_random_below(random, 8)) {
    case 0:
    case 1:
    case 2:
        unset(from, to, true);
        paint(model, from, to, 0, number, false);
        break;
    case 3: unset(from, to, false); break;
    case 4:
        stack = stacks[1];
        oh_require(oh_maps_commit(page(from), page(to), stack, number));
        paint(model, from, to, stack, number, true);
        break;
    default:
        oh_require(oh_maps_set(page(from), page(to), stack, number));
        paint(model, from, to, stack, number, false);
        break;
    }
}

static void find_agrees(const struct model *model, struct oh_random *random)
{
    struct oh_format_range piece;
    uint64_t at = oh_random_below(random, PAGES), bytes = 0;
    oh_require(oh_maps_find(page(at) + 17, &piece));
    oh_require_equal(oh_range_stack(&piece), model->stack[at]);
    oh_require(piece.begin <= page(at) && piece.end > page(at));
    for (uint64_t i = at; i < PAGES && page(i) < piece.end; i++)
        oh_require_equal(model->stack[i], model->stack[at]);
    for (uint64_t i = at; i < at + 20 && i < PAGES; i++)
        bytes += is_reserved(model->stack[i]) ? PAGE : 0;
    oh_require_equal(oh_maps_reserved(page(at), page(at + 20)), bytes);
}

// Every page is told alike, and two pages have one call in the recording if they have in the model.
static void ranges_agree(const struct model *model)
{
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    uint64_t at = 0;
    oh_tables_ranges(&arena, &ranges);
    for (uint64_t n = 0; n < ranges.count; n++) {
        const struct oh_view_range *range = &ranges.ranges[n];
        for (; page(at) < range->begin; at++)
            oh_require_equal(model->stack[at], 0);
        for (; page(at) < range->end; at++) {
            oh_require_equal(model->stack[at], range->stack);
            oh_require_equal(model->call[at], range->time_s);
            if (at > 0 && model->stack[at - 1] != 0 && page(at) == range->begin)
                oh_require(model->call[at] != model->call[at - 1] &&
                           range->call != ranges.ranges[n - 1].call);
        }
    }
    for (; at < PAGES; at++)
        oh_require_equal(model->stack[at], 0);
    oh_arena_fini(&arena);
}

static void operate(void *dir)
{
    static struct model model;
    struct oh_random random = {11};
    begin(dir, UINT64_C(16) << 20);
    for (uint32_t i = 1; i <= OPERATIONS; i++) {
        one_operation(&model, &random, i);
        if (i % 7 == 0)
            find_agrees(&model, &random);
        if (i % LOOK_EVERY == 0)
            ranges_agree(&model);
    }
    ranges_agree(&model);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_map_calls), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_maps_full), 0);
}

static void test_a_million_random_operations_agree_with_a_map_of_pages(void **state)
{
    (void)state;
    oh_scratch_run(operate);
}

// --- Many ranges

enum { MANY = 60000 };

static void grows_and_shrinks(void *dir)
{
    uint64_t count;
    begin(dir, UINT64_C(128) << 20);
    for (uint64_t i = 0; i < MANY; i++)
        set(2 * i, 2 * i + 1, 1);
    oh_require_equal(oh_tables_mapped(&count), (uint64_t)MANY * PAGE);
    oh_require_equal(count, MANY);
    for (uint64_t i = 1000; i < MANY; i++)
        unset(2 * i, 2 * i + 1, true);
    oh_require_equal(oh_tables_mapped(&count), (uint64_t)1000 * PAGE);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_maps_full), 0);
}

static void test_sixty_thousand_ranges_are_kept_apart(void **state)
{
    (void)state;
    oh_scratch_run(grows_and_shrinks);
}

// Neighbours of one stack are joined when there is no room for all, and no byte is lost by it.
static void joins(void *dir)
{
    uint64_t count;
    begin(dir, OH_TABLES_SMALLEST);
    for (uint64_t i = 0; i < MANY; i++)
        set(i, i + 1, 1);
    oh_require_equal(oh_tables_mapped(&count), (uint64_t)MANY * PAGE);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_maps_full), 0);
    unset(5, MANY - 5, true);
    oh_require_equal(oh_tables_mapped(&count), (uint64_t)10 * PAGE);
}

static void test_ranges_without_room_are_joined(void **state)
{
    (void)state;
    oh_scratch_run(joins);
}

// What cannot be joined is counted; what is there stays, and can be given back.
static void is_full(void *dir)
{
    uint64_t count;
    begin(dir, OH_TABLES_SMALLEST);
    for (uint64_t i = 0; i < 10000; i++)
        set(2 * i, 2 * i + 1, 1);
    uint64_t dropped = oh_tables_counter(OH_COUNTER_dropped_maps_full);
    uint64_t bytes = oh_tables_mapped(&count);
    oh_require(dropped > 9000 && count > 200);
    oh_require_equal(bytes, count * PAGE);
    oh_require_equal(count + dropped, 10000);
    unset(0, 20000, true);
    oh_require_equal(oh_tables_mapped(&count), 0);
}

static void test_ranges_that_have_no_room_are_counted(void **state)
{
    (void)state;
    oh_scratch_run(is_full);
}

// --- Late writers, as the log shows them

static struct oh_format_map_log *the_log(void)
{
    return oh_recording_at(oh_recording_section(OH_SECTION_MAP_LOG, 0)->offset);
}

// An event that somebody began to write, and never ended.
static uint64_t begin_and_stop(void)
{
    uint64_t ticket = oh_add_relaxed(&the_log()->next, 1);
    struct oh_format_map_event *event = &the_log()->events[ticket % OH_FORMAT_MAP_EVENTS];
    oh_store_release(&event->state, ticket << OH_MAP_PHASE_BITS | OH_MAP_WRITING);
    return ticket;
}

static void goes_on_without(void *dir)
{
    uint64_t count;
    struct oh_maps_unset late;
    begin(dir, OH_TABLES_SMALLEST);
    set(0, 10, 1);
    // given: one that is not written, one that is only taken, one whose system call takes long
    uint64_t stopped = begin_and_stop();
    (void)oh_add_relaxed(&the_log()->next, 1);
    oh_maps_begin_unset(&late, page(0), page(5));
    // when there are many more
    for (uint64_t i = 0; i < (uint64_t)OH_FORMAT_MAP_EVENTS * 4; i++) {
        set(100, 101 + i % 7, 4);
        unset(100, 200, true);
    }
    // then none of them was lost, the late one counts, and the place of the first is not used
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_map_calls), 0);
    oh_require_equal(oh_tables_mapped(&count), 5 * PAGE);
    uint64_t state = the_log()->events[stopped % OH_FORMAT_MAP_EVENTS].state;
    oh_require_equal(state, stopped << OH_MAP_PHASE_BITS | OH_MAP_ABANDONED);
    // and a call that failed so late is counted
    oh_maps_end_unset(&late, false);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_map_calls), 1);
    // A writer that comes back gives its place to others.
    oh_store_release(&the_log()->events[stopped % OH_FORMAT_MAP_EVENTS].state,
                     stopped << OH_MAP_PHASE_BITS | OH_MAP_SKIPPED);
    for (uint64_t i = 0; i < (uint64_t)OH_FORMAT_MAP_EVENTS * 4; i++)
        set(100, 101, 4);
    state = the_log()->events[stopped % OH_FORMAT_MAP_EVENTS].state;
    oh_require_equal(state & 7, OH_MAP_DONE);
    oh_require_equal(oh_tables_mapped(&count), 6 * PAGE);
}

static void test_events_that_never_end_hold_up_nobody(void **state)
{
    (void)state;
    oh_scratch_run(goes_on_without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_are_cut_and_replaced_to_the_byte),
        cmocka_unit_test(test_commit_changes_reservations_and_nothing_else),
        cmocka_unit_test(test_reserved_bytes_of_many_pieces_are_exact),
        cmocka_unit_test(test_find_tells_the_piece_around_an_address),
        cmocka_unit_test(test_a_million_random_operations_agree_with_a_map_of_pages),
        cmocka_unit_test(test_sixty_thousand_ranges_are_kept_apart),
        cmocka_unit_test(test_ranges_without_room_are_joined),
        cmocka_unit_test(test_ranges_that_have_no_room_are_counted),
        cmocka_unit_test(test_events_that_never_end_hold_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
