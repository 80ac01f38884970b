// SPDX-License-Identifier: Apache-2.0
//
// The filter is one for the process and what is pinned stays so: cases that pin or overflow run in
// children, and the others take out all that they put in.

#include "tables/filter.h"

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
    // when blocks come and go
    for (int step = 0; step < STEPS; step++) {
        void **slot = &live[oh_random_below(&random, LIVE)];
        if (*slot != NULL) {
            assert_true(oh_filter_maybe(*slot));
            oh_filter_remove(*slot);
            *slot = NULL;
        } else {
            *slot = random_block(&random, 4, 1 << 20);
            assert_true(oh_filter_add(*slot));
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
    for (int i = 0; i < OH_FILTER_WORDS; i++)
        assert_int_equal(oh_filter_flags[i], 0);
}

static void test_maybe_with_ten_thousand_live_is_wrong_for_under_two_percent(void **state)
{
    (void)state;
    enum { LIVE = 10000, PROBES = 200000 };
    static void *live[LIVE];
    struct oh_random random = {12};
    for (int i = 0; i < LIVE; i++) {
        live[i] = random_block(&random, 64, 1 << 26);
        assert_true(oh_filter_add(live[i]));
    }
    int wrong = 0;
    for (int i = 0; i < PROBES; i++)
        wrong += oh_filter_maybe((char *)random_block(&random, 64, 1 << 26) + (UINT64_C(1) << 40));
    assert_in_range(wrong, PROBES / 1000, PROBES / 50);
    for (int i = 0; i < LIVE; i++)
        oh_filter_remove(live[i]);
}

static void test_slots_of_one_window_are_all_different(void **state)
{
    (void)state;
    static uint8_t seen[OH_FILTER_FLAGS];
    const uint64_t window = UINT64_C(0x7f12) << 26;
    for (uint64_t at = 0; at < UINT64_C(1) << 26; at += 64)
        seen[oh_filter_slot(window + at)]++;
    for (int i = 0; i < OH_FILTER_FLAGS; i++)
        assert_int_equal(seen[i], 1);
}

static void test_neighbours_share_a_cache_line(void **state)
{
    (void)state;
    enum { FLAGS_A_LINE = 64 * 8 };
    const uint64_t line = UINT64_C(0x7f1234568000);
    for (uint64_t at = 0; at < 32 << 10; at += 16)
        assert_int_equal(oh_filter_slot(line + at) / FLAGS_A_LINE,
                         oh_filter_slot(line) / FLAGS_A_LINE);
}

static void test_remove_of_what_is_not_there_changes_nothing(void **state)
{
    (void)state;
    oh_filter_remove((void *)0x1000);
    assert_false(oh_filter_maybe((void *)0x1000));
}

static void counter_overflows(void *arg)
{
    (void)arg;
    enum { COUNTER_MOST = 13 };
    void *block = (void *)0x7f0000001230;
    void *neighbour = (char *)block + OH_FILTER_GRANULE_BYTES;
    for (int i = 0; i < COUNTER_MOST; i++)
        oh_require(oh_filter_add(block));
    for (int i = 0; i < COUNTER_MOST; i++) {
        oh_require(oh_filter_maybe(block));
        oh_filter_remove(block);
    }
    oh_require(!oh_filter_maybe(block));
    for (int i = 0; i < COUNTER_MOST + 50; i++)
        oh_require(oh_filter_add(block));
    // From here on it is not known how many there are: never "no" again.
    for (int i = 0; i < 2 * (COUNTER_MOST + 50); i++)
        oh_filter_remove(block);
    oh_require(oh_filter_maybe(block));
    // The counter beside it in the same word is another's.
    oh_require(!oh_filter_maybe(neighbour));
    oh_require(oh_filter_add(neighbour));
    oh_filter_remove(neighbour);
    oh_require(!oh_filter_maybe(neighbour));
}

static void test_add_beyond_the_counter_stays_maybe_for_ever(void **state)
{
    (void)state;
    oh_child_must_pass(counter_overflows, NULL);
}

static void range_is_pinned(void *arg)
{
    (void)arg;
    static char area[4096 + 2 * OH_FILTER_GRANULE_BYTES] __attribute__((aligned(64)));
    char *range = area + OH_FILTER_GRANULE_BYTES - 16; // From the end of one granule on.
    const size_t bytes = 4096;
    oh_filter_pin(range, bytes);
    for (size_t i = 0; i < bytes; i += 16) {
        oh_require(oh_filter_add(range + i));
        oh_filter_remove(range + i);
        oh_filter_remove(range + i);
        oh_require(oh_filter_maybe(range + i));
    }
    oh_require(!oh_filter_maybe(range + bytes + OH_FILTER_GRANULE_BYTES));
    oh_filter_pin_all();
    for (uintptr_t at = 0; at < OH_FILTER_FLAGS; at++) {
        void *block = (void *)(at * OH_FILTER_GRANULE_BYTES);
        oh_require(oh_filter_add(block));
        oh_filter_remove(block);
        oh_filter_remove(block);
        oh_require(oh_filter_maybe(block));
    }
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
