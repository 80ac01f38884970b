// SPDX-License-Identifier: Apache-2.0
#include "offheap/block.h"

#include "offheap/hash.h"
#include "offheap/weight.h"
#include "support/cmocka.h"
#include "support/random.h"

static struct oh_block there_and_back(const struct oh_block *block)
{
    return oh_block_unpack(oh_block_place(block), oh_block_facts(block));
}

static void test_words_of_any_block_give_it_back(void **state)
{
    (void)state;
    struct oh_random random = {8};
    const uint64_t values = UINT64_C(1) << 47;
    for (int i = 0; i < 1000000; i++) {
        const struct oh_block block = {
            .address = (8 + oh_random_below(&random, values - 8)) & ~UINT64_C(7),
            .size = oh_random_next(&random) >> (17 + oh_random_below(&random, 47)),
            .stack = (uint32_t)oh_random_below(&random, 1 << 30),
            .time_s = (uint32_t)oh_random_below(&random, 4096),
            .mean = (uint32_t)oh_random_below(&random, OH_FORMAT_MEANS),
        };
        assert_true(oh_block_fits(block.address, block.size));
        const struct oh_block back = there_and_back(&block);
        assert_true(back.address == block.address && back.size == block.size);
        assert_true(back.stack == block.stack && back.mean == block.mean);
        assert_true(back.time_s == (block.size >> 32 == 0 ? block.time_s : OH_BLOCK_NO_TIME));
        assert_true(oh_block_is_at(oh_block_place(&block), oh_block_key(block.address)));
        assert_false(oh_block_is_at(oh_block_place(&block), oh_block_key(block.address ^ 8)));
        assert_false(oh_block_is_at(OH_LIVE_EMPTY, oh_block_key(block.address)));
        assert_false(oh_block_is_at(OH_LIVE_BUSY, oh_block_key(block.address)));
    }
}

static void test_blocks_that_do_not_fit_are_told(void **state)
{
    (void)state;
    const uint64_t last = (UINT64_C(1) << 47) - 8;
    assert_true(oh_block_fits(8, 0) && oh_block_fits(last, last + 7));
    assert_false(oh_block_fits(0, 1));
    assert_false(oh_block_fits(12, 1));
    assert_false(oh_block_fits(last + 8, 1));
    assert_false(oh_block_fits(8, UINT64_C(1) << 47));
}

static void test_times_are_exact_for_an_hour_and_then_close(void **state)
{
    (void)state;
    const uint32_t two_years = 4095u << 14;
    for (uint32_t s = 0; s < 4096; s++)
        assert_int_equal(oh_block_unpack_time(oh_block_pack_time(s)), s);
    for (uint32_t s = 4096; s < two_years; s += 1 + s / 5000) {
        uint32_t back = oh_block_unpack_time(oh_block_pack_time(s));
        assert_true(back <= s && s - back <= s / 2048);
    }
    assert_int_equal(oh_block_unpack_time(oh_block_pack_time(two_years)), two_years);
    assert_int_equal(oh_block_unpack_time(oh_block_pack_time(UINT32_MAX)), two_years);
}

static void test_weights_in_units_stay_in_their_range(void **state)
{
    (void)state;
    assert_true(oh_weight_units(0, 1, 0) == 1);
    assert_true(oh_weight_units(1000, 1, 16) == 65536);
    assert_true(oh_weight_units(0, 524288, 16) == 0);
    assert_true(oh_weight_units(UINT64_C(1) << 40, 524288, 16) == 65536);
    // p = 1 - exp(-1): weight 1.58198
    assert_true(oh_weight_units(524288, 524288, 16) == 103676 ||
                oh_weight_units(524288, 524288, 16) == 103677);
    assert_true(oh_weight_units(1, INT64_MAX, 32) == UINT64_C(1) << 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_of_any_block_give_it_back),
        cmocka_unit_test(test_blocks_that_do_not_fit_are_told),
        cmocka_unit_test(test_times_are_exact_for_an_hour_and_then_close),
        cmocka_unit_test(test_weights_in_units_stay_in_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
