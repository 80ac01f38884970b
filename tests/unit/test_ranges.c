// SPDX-License-Identifier: Apache-2.0
//
// Maps read from a recording made by hand: the table that holds, events over it, and what makes no
// sense.
#include "profile/ranges.h"

#include <string.h>

#include "offheap/paint.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/synthetic.h"

enum { ARENA_BYTES = 64 << 20, TABLE = 2, GENERATION = 7, FIRST = 1000, FLIPPED = 3000 };

static struct oh_synthetic recording;
static struct oh_format_map_log *map_log;
static struct oh_format_range *table;
static struct oh_arena arena;
static struct oh_view view;
static struct oh_view_ranges ranges;
static uint32_t mapped, reserved, runtime;

static uint32_t add_stack(uint8_t kind)
{
    const uint64_t pc = 0x401100;
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN, .kind = kind};
    return oh_synthetic_ref(&recording, oh_synthetic_stack(&recording, &like, &pc, 1, 0));
}

static struct oh_format_range range_of(uint64_t begin, uint64_t end, uint32_t stack, uint64_t call)
{
    return (struct oh_format_range){begin, end, oh_range_facts(stack, 3), call};
}

// Two maps and a reservation in the table that holds; no event.
static int setup(void **state)
{
    (void)state;
    oh_synthetic_sample(&recording, OH_MODE_EXACT);
    map_log = oh_synthetic_maps(&recording);
    mapped = add_stack(OH_KIND_MMAP);
    reserved = add_stack(OH_KIND_RESERVE);
    runtime = add_stack(OH_KIND_GO_RUNTIME);
    struct oh_format_map_table *head = oh_synthetic_table(&recording, TABLE);
    *head = (struct oh_format_map_table){.generation = GENERATION, .count = 3, .first = FIRST};
    table = (struct oh_format_range *)(head + 1);
    table[0] = range_of(0x10000, 0x20000, mapped, 11);
    table[1] = range_of(0x20000, 0x30000, runtime, 12);
    table[2] = range_of(0x50000, 0x90000, reserved, 13);
    map_log->current = GENERATION << OH_MAP_TABLE_BITS | TABLE;
    map_log->next = FIRST;
    return oh_arena_init(&arena, ARENA_BYTES);
}

static int teardown(void **state)
{
    (void)state;
    oh_arena_fini(&arena);
    return 0;
}

static void add_event(enum oh_map_phase phase, enum oh_map_op op, struct oh_format_range range)
{
    uint64_t ticket = map_log->next++;
    struct oh_format_map_event *event = &map_log->events[ticket % OH_FORMAT_MAP_EVENTS];
    *event = (struct oh_format_map_event){
        .state = ticket << OH_MAP_PHASE_BITS | phase, .range = range, .op = op};
}

static void read_all(void)
{
    struct oh_view_fault fault;
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    assert_int_equal(oh_ranges_read(&view, &arena, &ranges), 0);
}

static void must_be(uint64_t i, uint64_t begin, uint64_t end, uint8_t kind, uint64_t call)
{
    assert_true(i < ranges.count);
    assert_int_equal(ranges.ranges[i].begin, begin);
    assert_int_equal(ranges.ranges[i].end, end);
    assert_int_equal(ranges.ranges[i].kind, kind);
    assert_int_equal(ranges.ranges[i].call, call);
    assert_int_equal(ranges.ranges[i].time_s, 3);
}

static void test_recording_without_the_sections_has_no_ranges(void **state)
{
    (void)state;
    oh_synthetic_sample(&recording, OH_MODE_EXACT);
    read_all();
    assert_false(oh_ranges_recorded(&view));
    assert_int_equal(ranges.count, 0);
    assert_int_equal(view.damaged, 0);
}

static void test_table_that_holds_is_read(void **state)
{
    (void)state;
    read_all();
    assert_true(oh_ranges_recorded(&view));
    assert_int_equal(ranges.count, 3);
    must_be(0, 0x10000, 0x20000, OH_KIND_MMAP, 11);
    must_be(1, 0x20000, 0x30000, OH_KIND_GO_RUNTIME, 12);
    must_be(2, 0x50000, 0x90000, OH_KIND_RESERVE, 13);
    assert_int_equal(view.damaged, 0);
}

static void test_events_that_count_are_painted_over_it(void **state)
{
    (void)state;
    add_event(OH_MAP_DONE, OH_MAP_SET, range_of(0x18000, 0x28000, mapped, 20));
    add_event(OH_MAP_PENDING, OH_MAP_SET, range_of(0x10000, 0x11000, 0, 21));
    add_event(OH_MAP_DONE, OH_MAP_COMMIT, range_of(0x40000, 0x60000, mapped, 22));
    // and these do not count
    add_event(OH_MAP_VOID, OH_MAP_SET, range_of(0, UINT64_MAX, 0, 23));
    add_event(OH_MAP_WRITING, OH_MAP_SET, range_of(0, UINT64_MAX, 0, 24));
    add_event(OH_MAP_SKIPPED, OH_MAP_SET, range_of(0, UINT64_MAX, 0, 25));
    add_event(OH_MAP_ABANDONED, OH_MAP_SET, range_of(0, UINT64_MAX, 0, 26));
    map_log->next++; // Taken, and not begun: an event of an earlier round stands there.
    map_log->events[(map_log->next - 1) % OH_FORMAT_MAP_EVENTS] =
        (struct oh_format_map_event){.state = 5 << OH_MAP_PHASE_BITS | OH_MAP_DONE,
                                     .range = range_of(0, UINT64_MAX, 0, 27),
                                     .op = OH_MAP_SET};
    read_all();
    assert_int_equal(ranges.count, 5);
    must_be(0, 0x11000, 0x18000, OH_KIND_MMAP, 11);
    must_be(1, 0x18000, 0x28000, OH_KIND_MMAP, 20);
    must_be(2, 0x28000, 0x30000, OH_KIND_GO_RUNTIME, 12);
    must_be(3, 0x50000, 0x60000, OH_KIND_MMAP, 22);
    must_be(4, 0x60000, 0x90000, OH_KIND_RESERVE, 13);
    assert_int_equal(view.damaged, 0);
}

static void is_refused_whole(void)
{
    read_all();
    assert_int_equal(ranges.count, 0);
    assert_int_equal(view.damaged, 1);
}

static void test_table_that_is_not_there_is_damage(void **state)
{
    (void)state;
    map_log->current = GENERATION << OH_MAP_TABLE_BITS | OH_FORMAT_MAP_TABLES; // Of level 1.
    is_refused_whole();
    map_log->current = GENERATION << OH_MAP_TABLE_BITS | 255;
    is_refused_whole();
    map_log->current = (GENERATION + 1) << OH_MAP_TABLE_BITS | TABLE;
    is_refused_whole();
    map_log->current = GENERATION << OH_MAP_TABLE_BITS | TABLE;
    oh_synthetic_table(&recording, TABLE)->count = 10000;
    is_refused_whole();
}

static void test_ranges_that_make_no_sense_are_left_out(void **state)
{
    (void)state;
    table[0] = range_of(0x20000, 0x10000, mapped, 11); // Ends before it begins.
    table[2] = range_of(0x50000, 0x90000, 1, 13);      // Its stack is no stack.
    read_all();
    assert_int_equal(ranges.count, 1);
    assert_int_equal(view.damaged, 2);
    table[0] = range_of(0x10000, 0x28000, mapped, 11); // Into the next one.
    table[2] = range_of(0x50000, 0x90000, reserved, 13);
    read_all();
    assert_int_equal(ranges.count, 2);
    assert_int_equal(view.damaged, 1);
}

static void test_events_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    add_event(OH_MAP_DONE, OH_MAP_SET, range_of(0x28000, 0x18000, 0, 20));
    add_event(OH_MAP_DONE, (enum oh_map_op)77, range_of(0, UINT64_MAX, 0, 21));
    add_event(OH_MAP_DONE, OH_MAP_SET, range_of(0x18000, 0x28000, 1, 22));
    read_all();
    assert_int_equal(ranges.count, 3);
    assert_int_equal(view.damaged, 1);
    map_log->next = FIRST + 2 * OH_FORMAT_MAP_EVENTS; // More than there can be: none is believed.
    read_all();
    assert_int_equal(ranges.count, 3);
    assert_int_equal(view.damaged, 1);
}

// A log full of events, of which all bits are doubtful.
static void test_flipped_bits_leave_ranges_in_order(void **state)
{
    struct oh_random random = {77};
    for (int i = 0; i < FLIPPED; i++) {
        assert_int_equal(setup(state), 0);
        for (uint64_t n = 0; n < OH_FORMAT_MAP_EVENTS; n++) {
            uint64_t begin = oh_random_below(&random, 256) << 12;
            add_event(OH_MAP_DONE, n % 9 == 0 ? OH_MAP_COMMIT : OH_MAP_SET,
                      range_of(begin, begin + 0x8000, n % 3 == 0 ? 0 : mapped, n));
        }
        for (int flips = 0; flips < 20; flips++) {
            uint64_t bit = oh_random_below(&random, 8 * sizeof *map_log);
            ((uint8_t *)map_log)[bit / 8] ^= (uint8_t)(1 << bit % 8);
            bit = oh_random_below(&random, 8 * (64 + 3 * 32));
            ((uint8_t *)oh_synthetic_table(&recording, TABLE))[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        read_all();
        uint64_t reached = 0;
        for (uint64_t n = 0; n < ranges.count; n++) {
            assert_true(ranges.ranges[n].begin >= reached);
            assert_true(ranges.ranges[n].end > ranges.ranges[n].begin);
            assert_int_not_equal(ranges.ranges[n].kind, 0);
            reached = ranges.ranges[n].end;
        }
        (void)teardown(state);
    }
    assert_int_equal(setup(state), 0);
}

static void test_kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(oh_kind_name(OH_KIND_MALLOC), "malloc");
    assert_string_equal(oh_kind_name(OH_KIND_RESERVE), "reserve");
    assert_string_equal(oh_kind_name(OH_KIND_ALLOCATOR), "allocator");
    assert_null(oh_kind_name(0));
    assert_null(oh_kind_name(OH_KIND_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recording_without_the_sections_has_no_ranges, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_table_that_holds_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_that_count_are_painted_over_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_table_that_is_not_there_is_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ranges_that_make_no_sense_are_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_events_that_make_no_sense_change_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bits_leave_ranges_in_order, setup, teardown),
        cmocka_unit_test(test_kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
