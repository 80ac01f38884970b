// SPDX-License-Identifier: Apache-2.0
#include "offheap/step.h"

#include "support/cmocka.h"
#include "support/random.h"

static void test_packed_bytes_keep_their_first_26_bits(void **state)
{
    (void)state;
    struct oh_random random = {7};
    for (int i = 0; i < 100000; i++) {
        uint64_t bytes = oh_random_next(&random) >> (6 + oh_random_below(&random, 58));
        uint64_t kept = oh_step_unpack(oh_step_pack(bytes));
        assert_true(kept <= bytes && bytes - kept <= bytes >> 26);
    }
    assert_true(oh_step_unpack(oh_step_pack(0)) == 0);
    assert_true(oh_step_unpack(oh_step_pack((1 << 27) - 1)) == (1 << 27) - 1);
    assert_true(oh_step_unpack(oh_step_pack(UINT64_MAX)) >= UINT64_C(1) << 57);
}

static void test_rungs_of_any_second_have_the_ages_that_are_promised(void **state)
{
    (void)state;
    static const int64_t least[] = {0, 1, 5, 21, 85, 341, 1365, 5461, 21845};
    struct oh_random random = {8};
    for (int i = 0; i < 100000; i++) {
        uint32_t now = (uint32_t)oh_random_below(&random, 1u << 30);
        for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++) {
            int64_t age = (int64_t)now - oh_step_second(rung, now);
            assert_true(age >= least[rung] && age < least[rung + 1]);
        }
    }
}

enum { SECONDS = 60000 };

// Looks at random seconds, as dense as 1 in `sparse`, at a value that changes now and then: what
// the row says of each of its seconds is the value at the last look until then, or one that was
// seen later but before the one after. When every second is looked at it is exactly the value.
static void check_history(uint32_t sparse, uint64_t seed)
{
    static uint32_t seen[SECONDS]; // At the last look until then.
    struct oh_random random = {seed};
    struct oh_step_row row = {0};
    uint32_t value = 0, last = 0;
    for (uint32_t now = 1; now < SECONDS; now++) {
        if (oh_random_below(&random, 5) == 0)
            value = (uint32_t)oh_random_below(&random, 1000);
        bool looks = oh_random_below(&random, sparse) == 0;
        last = looks ? value : last;
        seen[now] = last;
        if (!looks)
            continue;
        struct oh_step_row made = row;
        if (oh_step_bring_up(&made, now, value))
            row = made;
        if (sparse != 1) {
            assert_int_equal(oh_step_at(&row, now), value);
            continue;
        }
        for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++) {
            int64_t second = oh_step_second(rung, now);
            assert_int_equal(oh_step_at(&row, second), second < 0 ? 0 : seen[second]);
        }
    }
}

static void test_row_brought_up_each_second_has_the_values_of_its_seconds(void **state)
{
    (void)state;
    check_history(1, 1);
}

static void test_row_brought_up_now_and_then_has_the_newest_value(void **state)
{
    (void)state;
    check_history(3, 2);
    check_history(1000, 3);
}

static void test_value_stands_for_the_seconds_in_which_nobody_looked(void **state)
{
    (void)state;
    struct oh_step_row row = {0};
    // given: a stack that held 100 bytes at second 1000, then one look at second 9000
    assert_true(oh_step_bring_up(&row, 1000, 100));
    assert_true(oh_step_bring_up(&row, 9000, 500));
    // then between the two it held what it had held, and before the first nothing
    assert_int_equal(oh_step_at(&row, 9000), 500);
    assert_int_equal(oh_step_at(&row, 8999), 100);
    assert_int_equal(oh_step_at(&row, oh_step_second(6, 9000)), 100);
    assert_int_equal(oh_step_at(&row, -1), 0);
}

static void test_row_that_says_the_same_need_not_be_written(void **state)
{
    (void)state;
    struct oh_step_row row = {0};
    assert_false(oh_step_bring_up(&row, 5, 0));
    for (uint32_t now = 6; now < 30000; now++)
        (void)oh_step_bring_up(&row, now, 77);
    assert_false(oh_step_bring_up(&row, 30000, 77));
    assert_true(oh_step_bring_up(&row, 30001, 78));
}

static void test_word_tells_every_torn_row(void **state)
{
    (void)state;
    struct oh_step_row old = {0}, made;
    for (uint32_t now = 1; now < 5000; now++)
        (void)oh_step_bring_up(&old, now, now * 3);
    made = old;
    assert_true(oh_step_bring_up(&made, 5000, 4));
    // given: as tables/steps writes it, the oldest value first, killed after each store
    struct oh_step_row torn = old;
    for (uint32_t rung = OH_FORMAT_STEP_RUNGS; rung-- > 0;) {
        bool changes = torn.values[rung] != made.values[rung];
        torn.values[rung] = made.values[rung];
        if (changes)
            assert_true(oh_step_word(&torn) != oh_step_word(&old));
    }
    torn.second = made.second;
    assert_true(oh_step_word(&torn) == oh_step_word(&made));
}

static void test_check_of_a_step_tells_every_changed_bit(void **state)
{
    (void)state;
    struct oh_format_step step = {.time_ns = 5, .inuse_bytes = {0, 1, 2}};
    step.check = oh_step_check(&step);
    uint8_t *bytes = (uint8_t *)&step;
    assert_true(step.check != 0);
    for (size_t bit = 0; bit < 8 * sizeof step; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(step.check != oh_step_check(&step));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_bytes_keep_their_first_26_bits),
        cmocka_unit_test(test_rungs_of_any_second_have_the_ages_that_are_promised),
        cmocka_unit_test(test_row_brought_up_each_second_has_the_values_of_its_seconds),
        cmocka_unit_test(test_row_brought_up_now_and_then_has_the_newest_value),
        cmocka_unit_test(test_value_stands_for_the_seconds_in_which_nobody_looked),
        cmocka_unit_test(test_row_that_says_the_same_need_not_be_written),
        cmocka_unit_test(test_word_tells_every_torn_row),
        cmocka_unit_test(test_check_of_a_step_tells_every_changed_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
