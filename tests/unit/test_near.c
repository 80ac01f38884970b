// SPDX-License-Identifier: Apache-2.0

#include "patch/near.h"

#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "support/cmocka.h"

static const uint64_t reach = UINT64_C(1) << 31;

struct span {
    uint64_t begin, end;
};

static uint64_t best_of(struct span code, uint64_t bytes, const struct span *maps, size_t count)
{
    struct oh_near_place place;
    oh_near_init(&place, code.begin, code.end, bytes);
    for (size_t i = 0; i < count; i++)
        oh_near_add(&place, maps[i].begin, maps[i].end);
    return oh_near_best(&place);
}

#define BEST(code, bytes, maps) best_of(code, bytes, maps, sizeof(maps) / sizeof((maps)[0]))

static void test_an_executable_at_its_usual_place_has_room_below(void **state)
{
    (void)state;
    static const struct span maps[] = {{0x400000, 0x500000}, {0x500000, 0x7f0000}};
    assert_int_equal(BEST(((struct span){0x401000, 0x450000}), 0x2000, maps), 0x3fe000);
}

static void test_the_nearest_gap_that_is_large_enough_is_taken(void **state)
{
    (void)state;
    static const struct span maps[] = {{0x7f0000000000, 0x7f0000100000},
                                       {0x7f0000110000, 0x7f0000200000},
                                       {0x7f0000201000, 0x7f0000300000},
                                       {0x7f0000300000, 0x7f0000400000}};
    assert_int_equal(BEST(((struct span){0x7f0000300000, 0x7f0000310000}), 0x2000, maps),
                     0x7f000010e000);
    assert_int_equal(BEST(((struct span){0x7f0000300000, 0x7f0000310000}), 0x1000, maps),
                     0x7f0000200000);
}

static void test_without_room_below_it_is_far_above_the_heap(void **state)
{
    (void)state;
    static const struct span maps[] = {{0x10000, 0x500000}, {0x7f0000000000, 0x7f0000100000}};
    uint64_t best = BEST(((struct span){0x401000, 0x450000}), 0x1000, maps);
    assert_true(best > UINT64_C(0x40000000) && best + 0x1000 - 0x401000 < reach);
    assert_int_equal(best % 4096, 0);
}

static void test_nothing_in_reach_is_nothing(void **state)
{
    (void)state;
    static const struct span maps[] = {{0x7f0000000000, 0x7f0100000000},
                                       {0x7f0100000000, 0x7f0200000000}};
    assert_int_equal(BEST(((struct span){0x7f0100000000, 0x7f0100001000}), 0x1000, maps), 0);
}

static void test_a_gap_of_which_a_part_is_in_reach_gives_that_part(void **state)
{
    (void)state;
    static const struct span maps[] = {{0x7f0010000000, 0x7f0070000000},
                                       {0x7f0070000000, 0x7f00a0000000}};
    uint64_t end = UINT64_C(0x7f00a0000000);
    assert_int_equal(BEST(((struct span){0x7f0090000000, end}), 0x1000, maps), 0);
    uint64_t best = BEST(((struct span){0x7f0070000000, 0x7f0071000000}), 0x1000, maps);
    assert_int_equal(best, 0x7f000ffff000);
    assert_true(0x7f0071000000 - best < reach);
}

static char code[16];

static void test_the_process_itself_has_room_that_can_be_written(void **state)
{
    (void)state;
    uint64_t at = (uint64_t)(uintptr_t)code;
    long first = oh_near_map(at, at + sizeof code, 8192);
    long second = oh_near_map(at, at + sizeof code, 4096);
    assert_false(oh_sys_failed(first) || oh_sys_failed(second));
    memset((void *)first, 0xcc, 8192);
    memset((void *)second, 0xcc, 4096);
    assert_true(at - (uint64_t)first < reach || (uint64_t)first - at < reach);
    assert_true((uint64_t)second + 4096 <= (uint64_t)first ||
                (uint64_t)second >= (uint64_t)first + 8192);
    (void)munmap((void *)first, 8192);
    (void)munmap((void *)second, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_executable_at_its_usual_place_has_room_below),
        cmocka_unit_test(test_the_nearest_gap_that_is_large_enough_is_taken),
        cmocka_unit_test(test_without_room_below_it_is_far_above_the_heap),
        cmocka_unit_test(test_nothing_in_reach_is_nothing),
        cmocka_unit_test(test_a_gap_of_which_a_part_is_in_reach_gives_that_part),
        cmocka_unit_test(test_the_process_itself_has_room_that_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
