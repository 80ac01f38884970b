// SPDX-License-Identifier: Apache-2.0
//
// The arena of the host-safe writer.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/arena.h"

enum { MIB = 1 << 20 };

static void test_alloc_of_any_size_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct oh_arena arena;
    assert_int_equal(oh_arena_init(&arena, 16 * MIB), 0);
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t size = 0; size < 70; size += 23) {
            uint8_t *block = oh_arena_alloc(&arena, size, align);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % align, 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(block[i], 0);
            memset(block, 0xff, size);
        }
    }
    oh_arena_fini(&arena);
}

static void test_alloc_of_size_zero_gives_distinct_addresses(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init(&arena, MIB);
    void *first = oh_arena_alloc(&arena, 0, 1);
    void *second = oh_arena_alloc(&arena, 0, 1);
    assert_non_null(first);
    assert_ptr_not_equal(first, second);
    oh_arena_fini(&arena);
}

static void test_alloc_with_bad_alignment_fails(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init(&arena, MIB);
    assert_null(oh_arena_alloc(&arena, 8, 0));
    assert_null(oh_arena_alloc(&arena, 8, 3));
    assert_null(oh_arena_alloc(&arena, 8, 8192));
    oh_arena_fini(&arena);
}

static void test_alloc_past_the_bound_fails_and_never_maps_more(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init(&arena, 3 * MIB);
    size_t given = 0;
    while (oh_arena_alloc(&arena, 1000, 8) != NULL)
        given += 1000;
    assert_true(given > 2 * MIB);
    assert_true(arena.mapped_bytes <= 3 * MIB);
    assert_null(oh_arena_alloc(&arena, 2 * MIB, 8));
    oh_arena_fini(&arena);
}

static void test_alloc_with_less_than_a_chunk_left_uses_the_rest(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init(&arena, 64 << 10);
    assert_non_null(oh_arena_alloc(&arena, 32 << 10, 8));
    assert_int_equal(arena.mapped_bytes, 64 << 10);
    oh_arena_fini(&arena);
}

static void test_alloc_of_a_large_block_keeps_the_current_chunk(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init(&arena, 64 * MIB);
    uint8_t *before = oh_arena_alloc(&arena, 16, 16);
    uint8_t *large = oh_arena_alloc(&arena, 5 * MIB, 4096);
    uint8_t *after = oh_arena_alloc(&arena, 16, 16);
    assert_non_null(large);
    memset(large, 1, 5 * MIB);
    assert_ptr_equal(after, before + 16);
    oh_arena_fini(&arena);
    assert_null(arena.chunks);
}

static void test_large_arena_takes_few_chunks_and_keeps_its_bound(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init_large(&arena, 40 * MIB);
    uint8_t *first = oh_arena_alloc(&arena, 10 * MIB, 8);
    uint8_t *second = oh_arena_alloc(&arena, 10 * MIB, 8);
    assert_non_null(first);
    assert_ptr_equal(second, first + 10 * MIB);
    assert_int_equal(first[0] | first[10 * MIB - 1] | second[10 * MIB - 1], 0);
    while (oh_arena_alloc(&arena, MIB, 8) != NULL)
        ;
    assert_true(arena.mapped_bytes <= 40 * MIB);
    oh_arena_fini(&arena);
    assert_null(arena.chunks);
}

static void test_array_whose_size_overflows_fails(void **state)
{
    (void)state;
    struct oh_arena arena;
    (void)oh_arena_init(&arena, 16 * MIB);
    assert_null(oh_arena_array(&arena, SIZE_MAX / 4, 8, 8));
    assert_null(oh_arena_alloc(&arena, SIZE_MAX, 8));
    assert_null(oh_arena_alloc(&arena, SIZE_MAX - 4096, 8));
    assert_non_null(oh_arena_array(&arena, 100, 8, 8));
    oh_arena_fini(&arena);
}

static void test_zeroed_arena_gives_nothing_and_can_be_finished(void **state)
{
    (void)state;
    struct oh_arena arena = {0};
    assert_null(oh_arena_alloc(&arena, 1, 1));
    oh_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_of_any_size_is_zeroed_and_aligned),
        cmocka_unit_test(test_alloc_of_size_zero_gives_distinct_addresses),
        cmocka_unit_test(test_alloc_with_bad_alignment_fails),
        cmocka_unit_test(test_alloc_past_the_bound_fails_and_never_maps_more),
        cmocka_unit_test(test_alloc_with_less_than_a_chunk_left_uses_the_rest),
        cmocka_unit_test(test_alloc_of_a_large_block_keeps_the_current_chunk),
        cmocka_unit_test(test_large_arena_takes_few_chunks_and_keeps_its_bound),
        cmocka_unit_test(test_array_whose_size_overflows_fails),
        cmocka_unit_test(test_zeroed_arena_gives_nothing_and_can_be_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
