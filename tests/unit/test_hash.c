// SPDX-License-Identifier: Apache-2.0
#include "offheap/hash.h"

#include <math.h>

#include "support/cmocka.h"
#include "support/random.h"

static int bits_of(uint64_t x)
{
    return __builtin_popcountll(x);
}

static void test_mix_of_one_flipped_bit_flips_half_of_the_result(void **state)
{
    (void)state;
    enum { SEEDS = 500 };
    struct oh_random random = {1};
    uint64_t flipped[64] = {0};
    for (int seed = 0; seed < SEEDS; seed++) {
        uint64_t x = oh_random_next(&random);
        for (int bit = 0; bit < 64; bit++)
            flipped[bit] += (uint64_t)bits_of(oh_hash_mix(x) ^ oh_hash_mix(x ^ UINT64_C(1) << bit));
    }
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(flipped[bit] / SEEDS, 29, 35);
}

static void test_mix_of_block_addresses_spreads_over_buckets(void **state)
{
    (void)state;
    // given 8,192 blocks as an allocator would place them: one after the other
    enum { BLOCKS = 8192, BUCKETS = 1024 };
    static uint32_t found[BUCKETS];
    // when they are hashed as oh_level_bucket does
    for (uint64_t i = 0; i < BLOCKS; i++)
        found[(oh_hash_mix(UINT64_C(0x7f1234560010) + i * 48) >> 8) % BUCKETS]++;
    // then chi square is that of a uniform spread: 1023 +- 5 standard deviations
    double chi = 0;
    const double mean = (double)BLOCKS / BUCKETS;
    for (int i = 0; i < BUCKETS; i++)
        chi += (found[i] - mean) * (found[i] - mean) / mean;
    assert_true(fabs(chi - (BUCKETS - 1)) < 5 * sqrt(2.0 * (BUCKETS - 1)));
}

static void test_stack_hash_changes_with_every_part_of_its_identity(void **state)
{
    (void)state;
    // given
    const uint64_t pcs[] = {0x401000, 0x402000, 0x403000};
    const uint64_t swapped[] = {0x402000, 0x401000, 0x403000};
    const uint64_t other[] = {0x401000, 0x402000, 0x403001};
    uint64_t hash = oh_hash_stack(5, oh_stack_attributes(1, 2, 0, 0), pcs, 3);
    // then
    assert_true(hash == oh_hash_stack(5, oh_stack_attributes(1, 2, 0, 0), pcs, 3));
    assert_true(hash != oh_hash_stack(6, oh_stack_attributes(1, 2, 0, 0), pcs, 3));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(2, 2, 0, 0), pcs, 3));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(1, 1, 0, 0), pcs, 3));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(1, 2, 1, 0), pcs, 3));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(1, 2, 0, 1), pcs, 3));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(1, 2, 0, 0), pcs, 2));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(1, 2, 0, 0), swapped, 3));
    assert_true(hash != oh_hash_stack(5, oh_stack_attributes(1, 2, 0, 0), other, 3));
}

static void test_stack_hash_is_never_zero(void **state)
{
    (void)state;
    struct oh_random random = {2};
    for (int i = 0; i < 100000; i++) {
        uint64_t pc = oh_random_next(&random);
        assert_true(oh_hash_stack(0, 0, &pc, (uint32_t)(i & 1)) != 0);
    }
}

// A weight of 1 in any scale is the size itself, also where a 64-bit product would overflow.
static void test_weighted_bytes_of_the_largest_values_do_not_overflow(void **state)
{
    (void)state;
    assert_true(oh_weighted_bytes(100, 1, 0) == 100);
    assert_true(oh_weighted_bytes(100, 1 << 16, 16) == 100);
    assert_true(oh_weighted_bytes(100, 3 << 15, 16) == 150);
    assert_true(oh_weighted_bytes(1, (1 << 16) - 1, 16) == 0);
    assert_true(oh_weighted_bytes(UINT64_C(1) << 62, UINT64_C(1) << 16, 16) == UINT64_C(1) << 62);
    assert_true(oh_weighted_bytes(INT64_MAX, UINT64_C(1) << 16, 16) == INT64_MAX);
}

static void test_double_bits_go_both_ways(void **state)
{
    (void)state;
    const double values[] = {0.0, 1.0, -2.5, 1e300, 0x1p-1074};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_true(oh_double_of_bits(oh_bits_of_double(values[i])) == values[i]);
    assert_true(oh_bits_of_double(0.0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mix_of_one_flipped_bit_flips_half_of_the_result),
        cmocka_unit_test(test_mix_of_block_addresses_spreads_over_buckets),
        cmocka_unit_test(test_stack_hash_changes_with_every_part_of_its_identity),
        cmocka_unit_test(test_stack_hash_is_never_zero),
        cmocka_unit_test(test_weighted_bytes_of_the_largest_values_do_not_overflow),
        cmocka_unit_test(test_double_bits_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
