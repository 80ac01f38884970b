// SPDX-License-Identifier: Apache-2.0
//
// The filter is one for the process and a pinned counter stays so: cases that pin run in children.

#include "tables/filter.h"

#include <string.h>

#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"

// Addresses as an allocator gives them out: 16-byte steps in a few heaps.
static void *random_block(struct oh_random *random, uint64_t heaps, uint64_t heap_bytes)
{
    uint64_t heap = UINT64_C(0x7f0000000000) + (oh_random_below(random, heaps) << 26);
    return (void *)(heap + (oh_random_below(random, heap_bytes) & ~UINT64_C(15)));
}

static void test_add_and_remove_at_random_never_deny_a_live_block(void **state)
{
    (void)state;
    // given a model of what is live; few addresses, so that counters are shared and used again
    enum { LIVE = 3000, STEPS = 400000 };
    static void *live[LIVE];
    struct oh_random random = {11};
    memset(oh_filter_counters, 0, sizeof oh_filter_counters);
    // when blocks come and go
    for (int step = 0; step < STEPS; step++) {
        void **slot = &live[oh_random_below(&random, LIVE)];
        if (*slot != NULL) {
            assert_true(oh_filter_maybe(*slot));
            oh_filter_remove(*slot);
            *slot = NULL;
        } else {
            *slot = random_block(&random, 4, 1 << 20);
            oh_filter_add(*slot);
        }
        // then what is live is never denied
        const void *any = live[oh_random_below(&random, LIVE)];
        if (any != NULL)
            assert_true(oh_filter_maybe(any));
    }
    // and when all have gone nothing is left behind
    for (int i = 0; i < LIVE; i++) {
        if (live[i] != NULL)
            oh_filter_remove(live[i]);
    }
    for (int i = 0; i < OH_FILTER_COUNTERS; i++)
        assert_int_equal(oh_filter_counters[i], 0);
}

static void test_maybe_with_ten_thousand_live_is_wrong_for_under_two_percent(void **state)
{
    (void)state;
    enum { LIVE = 10000, PROBES = 200000 };
    struct oh_random random = {12};
    memset(oh_filter_counters, 0, sizeof oh_filter_counters);
    for (int i = 0; i < LIVE; i++)
        oh_filter_add(random_block(&random, 64, 1 << 26));
    int wrong = 0;
    for (int i = 0; i < PROBES; i++)
        wrong += oh_filter_maybe((char *)random_block(&random, 64, 1 << 26) + (UINT64_C(1) << 40));
    assert_in_range(wrong, PROBES / 1000, PROBES / 50);
}

static void test_slots_of_one_window_are_all_different(void **state)
{
    (void)state;
    static uint8_t seen[OH_FILTER_COUNTERS];
    const uint64_t window = UINT64_C(0x7f12) << 24;
    memset(seen, 0, sizeof seen);
    for (uint64_t at = 0; at < UINT64_C(1) << 24; at += 16)
        seen[oh_filter_slot(window + at)]++;
    for (int i = 0; i < OH_FILTER_COUNTERS; i++)
        assert_int_equal(seen[i], 1);
}

static void test_neighbours_share_a_cache_line(void **state)
{
    (void)state;
    const uint64_t line = UINT64_C(0x7f1234567000);
    for (uint64_t at = 0; at < 1024; at += 16)
        assert_int_equal(oh_filter_slot(line + at) / 64, oh_filter_slot(line) / 64);
}

static void test_remove_of_what_is_not_there_changes_nothing(void **state)
{
    (void)state;
    memset(oh_filter_counters, 0, sizeof oh_filter_counters);
    oh_filter_remove((void *)0x1000);
    assert_false(oh_filter_maybe((void *)0x1000));
}

static void counter_overflows(void *arg)
{
    (void)arg;
    void *block = (void *)0x7f0000001230;
    for (int i = 0; i < OH_FILTER_MAYBE + 50; i++)
        oh_filter_add(block);
    oh_require_equal(oh_filter_counters[oh_filter_slot((uintptr_t)block)], OH_FILTER_MAYBE);
    // From here on it is not known how many there are: never "no" again.
    for (int i = 0; i < 2 * OH_FILTER_MAYBE; i++)
        oh_filter_remove(block);
    oh_require(oh_filter_maybe(block));
}

static void test_add_beyond_the_counter_stays_maybe_for_ever(void **state)
{
    (void)state;
    oh_child_must_pass(counter_overflows, NULL);
}

static void range_is_pinned(void *arg)
{
    (void)arg;
    static char range[4096] __attribute__((aligned(16)));
    oh_filter_pin(range, sizeof range);
    for (size_t i = 0; i < sizeof range; i += 16) {
        oh_filter_add(range + i);
        oh_filter_remove(range + i);
        oh_filter_remove(range + i);
        oh_require(oh_filter_maybe(range + i));
    }
    oh_require(!oh_filter_maybe(range + sizeof range));
    oh_filter_pin_all();
    for (uintptr_t at = 0; at < OH_FILTER_COUNTERS; at++)
        oh_require(oh_filter_maybe((void *)(at * 16)));
}

static void test_pin_answers_maybe_whatever_comes_and_goes(void **state)
{
    (void)state;
    oh_child_must_pass(range_is_pinned, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_remove_at_random_never_deny_a_live_block),
        cmocka_unit_test(test_maybe_with_ten_thousand_live_is_wrong_for_under_two_percent),
        cmocka_unit_test(test_slots_of_one_window_are_all_different),
        cmocka_unit_test(test_neighbours_share_a_cache_line),
        cmocka_unit_test(test_remove_of_what_is_not_there_changes_nothing),
        cmocka_unit_test(test_add_beyond_the_counter_stays_maybe_for_ever),
        cmocka_unit_test(test_pin_answers_maybe_whatever_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
