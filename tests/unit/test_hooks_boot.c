// SPDX-License-Identifier: Apache-2.0
//
// The hooks as this program's own allocator, to give them what the loader gives them in a host:
// blocks of the boot arena, after the real functions are known.

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/init.h"
#include "recording/boot.h"
#include "recording/real.h"
#include "support/cmocka.h"
#include "tables/filter.h"

// In place of the library's: nothing is recorded here.
void oh_init_run_in_hook(void)
{
    oh_filter_pin(oh_boot_start(), OH_BOOT_BYTES);
    (void)oh_real_resolve();
}

static uint8_t *early_block(size_t size)
{
    uint8_t *block = oh_boot_alloc(16, size);
    assert_non_null(block);
    memset(block, 7, size);
    return block;
}

static void test_realloc_of_an_early_block_moves_it_to_the_real_allocator(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        errno = 17;
        uint8_t *moved = realloc(early_block(100), sizes[i]);
        assert_non_null(moved);
        assert_int_equal(errno, 17);
        assert_false(oh_boot_owns(moved));
        for (size_t at = 0; at < 100 && at < sizes[i]; at++)
            assert_int_equal(moved[at], 7);
        free(moved);
    }
}

static void test_realloc_of_an_early_block_to_nothing_frees_it(void **state)
{
    (void)state;
    errno = 17;
    assert_null(realloc(early_block(100), 0));
    assert_null(reallocarray(early_block(100), 0, 8));
    assert_int_equal(errno, 17);
}

static void test_early_block_has_its_size_and_can_be_freed(void **state)
{
    (void)state;
    uint8_t *block = early_block(100);
    assert_int_equal(malloc_usable_size(block), 100);
    errno = 17;
    free(block);
    assert_int_equal(errno, 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_realloc_of_an_early_block_moves_it_to_the_real_allocator),
        cmocka_unit_test(test_realloc_of_an_early_block_to_nothing_frees_it),
        cmocka_unit_test(test_early_block_has_its_size_and_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
