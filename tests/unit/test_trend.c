// SPDX-License-Identifier: Apache-2.0
//
// What a verdict stands on: trends of series, and sums by stack.

#include "memory/stack_sums.h"
#include "memory/trend.h"
#include "support/cmocka.h"

static void test_trends(void **state)
{
    (void)state;
    static const double noisy[] = {1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6};
    static const double late_step[] = {1, 1, 1, 1, 1, 1, 5, 5, 5, 5, 5};
    static const double few[] = {1, 2, 3};
    static const double fall[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10};
    assert_int_equal(oh_trend_find(noisy, 11, 1), OH_TREND_RISES);
    assert_int_equal(oh_trend_find(noisy, 11, 6), OH_TREND_NONE);
    assert_int_equal(oh_trend_find(late_step, 11, 1), OH_TREND_NONE);
    assert_int_equal(oh_trend_find(few, 3, 1), OH_TREND_RISES);
    assert_int_equal(oh_trend_find(few, 2, 0), OH_TREND_NONE);
    assert_int_equal(oh_trend_find(fall, 11, 0), OH_TREND_NONE);
}

static void test_lines(void **state)
{
    (void)state;
    static const double line[] = {1, 2, 3, 4, 5, 6};
    static const double step[] = {1, 1, 1, 6, 6, 6};
    static const double fall[] = {6, 5, 4, 3, 2, 1};
    assert_true(oh_trend_is_line(line, 6, 4));
    assert_false(oh_trend_is_line(step, 6, 8));
    assert_false(oh_trend_is_line(fall, 6, 4));
}

static void test_sums_of_many_stacks(void **state)
{
    (void)state;
    enum { BLOCKS = 5000 };
    static struct oh_live_block blocks[BLOCKS];
    struct oh_stack_sums sums = {0};
    for (uint32_t i = 0; i < BLOCKS; i++) {
        blocks[i] = (struct oh_live_block){.stack = i % 1250 * 4096, .bytes = i};
    }
    assert_true(oh_stack_sums_get(&sums, 0) == 0);
    const struct oh_live live = {.blocks = blocks, .count = BLOCKS};
    assert_int_equal(oh_stack_sums_make(&live, &sums), 0);
    assert_int_equal(sums.count, 1250);
    assert_true(oh_stack_sums_get(&sums, 3 * 4096) == 3 + 1253 + 2503 + 3753);
    assert_true(oh_stack_sums_get(&sums, 1) == 0);
    oh_stack_sums_fini(&sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trends),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_sums_of_many_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
