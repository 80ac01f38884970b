// SPDX-License-Identifier: Apache-2.0
//
// The arena is never given back, so every case runs in a process of its own.

#include "recording/boot.h"

#include <errno.h>
#include <string.h>

#include "recording/real.h"
#include "support/child.h"
#include "support/cmocka.h"

static void alloc_keeps_alignment(void *arg)
{
    (void)arg;
    for (size_t align = 1; align <= 8192; align *= 2) {
        uint8_t *block = oh_boot_alloc(align, 24);
        oh_require(block != NULL);
        oh_require((uintptr_t)block % (align < 16 ? 16 : align) == 0);
        oh_require(oh_boot_owns(block) && oh_boot_owns(block + 23));
        oh_require_equal(oh_boot_size(block), 24);
        for (int i = 0; i < 24; i++)
            oh_require(block[i] == 0);
        memset(block, 0xff, 24);
    }
}

static void test_alloc_of_any_alignment_is_aligned_zeroed_and_owned(void **state)
{
    (void)state;
    oh_child_must_pass(alloc_keeps_alignment, NULL);
}

// Blocks that are filled to the last byte keep their sizes, so none lies in another.
static void blocks_do_not_overlap(void *arg)
{
    enum { BLOCKS = 300 };
    uint8_t *blocks[BLOCKS];
    (void)arg;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = oh_boot_alloc((size_t)1 << i % 8, i);
        oh_require(blocks[i] != NULL);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        oh_require_equal(oh_boot_size(blocks[i]), i);
        for (size_t at = 0; at < i; at++)
            oh_require(blocks[i][at] == (uint8_t)i);
    }
    oh_require(oh_boot_calls() == 0); // Only the hooks know whose call it was.
    oh_boot_count_call();
    oh_require(oh_boot_calls() == 1);
}

static void test_alloc_of_many_sizes_keeps_them_apart(void **state)
{
    (void)state;
    oh_child_must_pass(blocks_do_not_overlap, NULL);
}

static void zero_sizes_are_distinct(void *arg)
{
    (void)arg;
    void *first = oh_boot_alloc(16, 0);
    void *second = oh_boot_alloc(16, 0);
    oh_require(first != NULL && second != NULL && first != second);
    oh_require(oh_boot_owns(first) && oh_boot_owns(second));
    oh_require(oh_boot_size(first) == 0);
}

static void test_alloc_of_nothing_gives_an_address_of_its_own(void **state)
{
    (void)state;
    oh_child_must_pass(zero_sizes_are_distinct, NULL);
}

static void arena_runs_out(void *arg)
{
    (void)arg;
    // given: too large at once is refused and costs nothing
    errno = 0;
    oh_require(oh_boot_alloc(16, OH_BOOT_BYTES + 1) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_boot_alloc(16, SIZE_MAX) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_boot_alloc((size_t)1 << 40, 8) == NULL && errno == ENOMEM);
    // when it is used up
    int blocks = 0;
    const uint8_t *last = NULL;
    errno = 0;
    for (uint8_t *block; (block = oh_boot_alloc(16, 1000)) != NULL; blocks++) {
        memset(block, 1, 1000);
        last = block;
    }
    // then nothing lay past its end, and errno says so, again and again
    oh_require(errno == ENOMEM);
    oh_require(blocks > OH_BOOT_BYTES / 1100);
    oh_require(oh_boot_owns(last + 999));
    for (int i = 0; i < 100000; i++) {
        errno = 0;
        oh_require(oh_boot_alloc(16, 1000) == NULL && errno == ENOMEM);
    }
}

static void test_alloc_beyond_the_arena_is_refused_with_enomem(void **state)
{
    (void)state;
    oh_child_must_pass(arena_runs_out, NULL);
}

static void test_owns_is_false_for_all_other_memory(void **state)
{
    (void)state;
    int local;
    const uint8_t *start = oh_boot_start();
    assert_false(oh_boot_owns(NULL));
    assert_false(oh_boot_owns(&local));
    assert_false(oh_boot_owns(start - 1));
    assert_true(oh_boot_owns(start));
    assert_true(oh_boot_owns(start + OH_BOOT_BYTES - 1));
    assert_false(oh_boot_owns(start + OH_BOOT_BYTES));
    assert_false(oh_boot_owns((void *)UINTPTR_MAX));
}

// Until the real functions are known, the table serves from the arena with malloc's manners.
static void early_functions_behave(void *arg)
{
    (void)arg;
    void *out = (void *)1;
    uint8_t *block = oh_real.malloc(10);
    memset(block, 7, 10);
    block = oh_real.realloc(block, 1000);
    oh_require(block != NULL && block[0] == 7 && block[9] == 7 && block[10] == 0);
    block = oh_real.realloc(block, 5);
    oh_require(block[4] == 7);
    oh_require(oh_real.malloc_usable_size(block) == 5);
    errno = 17;
    oh_require(oh_real.realloc(block, 0) == NULL && errno == 17);
    oh_require(oh_real.realloc(NULL, 0) != NULL);
    oh_require(oh_real.malloc_usable_size(NULL) == 0);
    oh_real.free(block);
    oh_real.free(NULL);
    errno = 0;
    oh_require(oh_real.calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_real.reallocarray(NULL, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    oh_require(oh_real.reallocarray(NULL, 3, 5) != NULL);
    errno = 17;
    oh_require(oh_real.posix_memalign(&out, 24, 8) == EINVAL && out == (void *)1);
    oh_require(oh_real.posix_memalign(&out, 4, 8) == EINVAL && out == (void *)1);
    oh_require(oh_real.posix_memalign(&out, 0, 8) == EINVAL && out == (void *)1);
    oh_require(oh_real.posix_memalign(&out, 64, OH_BOOT_BYTES) == ENOMEM && out == (void *)1);
    oh_require(errno == 17);
    oh_require(oh_real.posix_memalign(&out, 256, 8) == 0 && (uintptr_t)out % 256 == 0);
    errno = 0;
    oh_require(oh_real.aligned_alloc(24, 8) == NULL && errno == EINVAL);
    oh_require((uintptr_t)oh_real.memalign(128, 8) % 128 == 0);
    oh_require((uintptr_t)oh_real.valloc(8) % 4096 == 0);
    block = oh_real.pvalloc(4097);
    oh_require((uintptr_t)block % 4096 == 0 && oh_boot_size(block) == 8192);
    errno = 0;
    oh_require(oh_real.pvalloc(SIZE_MAX) == NULL && errno == ENOMEM);
}

static void test_early_functions_keep_the_allocators_contract(void **state)
{
    (void)state;
    oh_child_must_pass(early_functions_behave, NULL);
}

static void real_functions_are_found(void *arg)
{
    (void)arg;
    void *(*early)(size_t) = oh_real.malloc;
    oh_require(oh_real_resolve());
    oh_require(oh_real_resolve());
    oh_require(oh_real.malloc != early && oh_real.free != NULL);
    void *block = oh_real.malloc(10);
    oh_require(block != NULL && !oh_boot_owns(block));
    oh_real.free(block);
    oh_require(oh_real.__libc_start_main != NULL && oh_real.dlclose != NULL);
}

static void test_resolve_replaces_the_early_functions(void **state)
{
    (void)state;
    oh_child_must_pass(real_functions_are_found, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_of_any_alignment_is_aligned_zeroed_and_owned),
        cmocka_unit_test(test_alloc_of_many_sizes_keeps_them_apart),
        cmocka_unit_test(test_alloc_of_nothing_gives_an_address_of_its_own),
        cmocka_unit_test(test_alloc_beyond_the_arena_is_refused_with_enomem),
        cmocka_unit_test(test_owns_is_false_for_all_other_memory),
        cmocka_unit_test(test_early_functions_keep_the_allocators_contract),
        cmocka_unit_test(test_resolve_replaces_the_early_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
