// SPDX-License-Identifier: Apache-2.0
//
// jemalloc is found in the fixtures that have it, under its prefix, and nowhere else. Whatever the
// file is cut to or overwritten with, the search ends.

#include "profile/allocator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/image.h"
#include "support/cmocka.h"

static int find_in(const char *path, struct oh_allocator_symbols *found)
{
    struct oh_image image;
    if (oh_image_open(&image, path, NULL) != 0)
        return -EIO;
    int rc = oh_allocator_find(&image.elf, found);
    oh_image_close(&image);
    return rc;
}

static int find_in_fixture(const char *name, struct oh_allocator_symbols *found)
{
    char path[512];
    (void)snprintf(path, sizeof path, OH_TEST_BINARY_DIR "/fixtures/%s", name);
    int rc = find_in(path, found);
    if (rc == -EIO)
        skip(); // Not built: there is no jemalloc here.
    return rc;
}

static uint64_t size_of(const struct oh_allocator_symbols *found, enum oh_allocator_function which)
{
    return found->function[which].end - found->function[which].begin;
}

static bool is_code(const struct oh_allocator_symbols *found, uint64_t address)
{
    for (size_t i = 0; i < found->code_count; i++) {
        if (address >= found->code[i].begin && address < found->code[i].end)
            return true;
    }
    return false;
}

static void test_every_function_is_found_under_its_prefix(void **state)
{
    (void)state;
    static const char *const fixtures[] = {"jemalloc_je", "jemalloc_static", "jemalloc_hidden"};
    static const char *const prefixes[] = {"je_", "", ""};
    static const enum oh_allocator_function wanted[] = {
        OH_ALLOCATOR_malloc,         OH_ALLOCATOR_calloc,   OH_ALLOCATOR_realloc,
        OH_ALLOCATOR_free,           OH_ALLOCATOR_mallocx,  OH_ALLOCATOR_rallocx,
        OH_ALLOCATOR_xallocx,        OH_ALLOCATOR_dallocx,  OH_ALLOCATOR_sdallocx,
        OH_ALLOCATOR_posix_memalign, OH_ALLOCATOR_memalign, OH_ALLOCATOR_aligned_alloc};
    for (int i = 0; i < 3; i++) {
        struct oh_allocator_symbols found;
        assert_int_equal(find_in_fixture(fixtures[i], &found), 0);
        assert_string_equal(found.prefix, prefixes[i]);
        for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++) {
            const struct oh_elf_span *span = &found.function[wanted[k]];
            assert_true(size_of(&found, wanted[k]) > 0);
            assert_true(is_code(&found, span->begin) && is_code(&found, span->end - 1));
        }
        assert_int_equal(size_of(&found, OH_ALLOCATOR_free_sized), 0);
    }
}

static void test_a_program_without_it_has_none(void **state)
{
    (void)state;
    struct oh_allocator_symbols found;
    assert_int_equal(find_in_fixture("leak", &found), -ENOENT);
    assert_int_equal(found.function[OH_ALLOCATOR_malloc].begin, 0);
    // It only calls it.
    assert_int_equal(find_in_fixture("jemalloc", &found), -ENOENT);
    // Toys with some of its names.
    assert_int_equal(find_in_fixture("refused_je_free", &found), 0);
    assert_string_equal(found.prefix, "je_");
}

static void test_a_stripped_program_cannot_be_known_but_has_its_messages(void **state)
{
    (void)state;
    struct oh_allocator_symbols found;
    struct oh_image image;
    const char *const library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
    if (oh_image_open(&image, library, NULL) != 0)
        skip();
    assert_int_equal(oh_allocator_find(&image.elf, &found), -ENODATA);
    assert_true(oh_allocator_has_messages(&image.elf));
    oh_image_close(&image);
    assert_int_equal(oh_image_open(&image, "/lib/x86_64-linux-gnu/libc.so.6", NULL), 0);
    assert_false(oh_allocator_has_messages(&image.elf));
    oh_image_close(&image);
}

static void test_damaged_files_end_the_search(void **state)
{
    (void)state;
    struct oh_image image;
    struct oh_allocator_symbols found;
    struct oh_elf elf;
    if (oh_image_open(&image, OH_TEST_BINARY_DIR "/fixtures/refused_je_free", NULL) != 0)
        skip();
    uint8_t *copy = malloc(image.size);
    assert_non_null(copy);
    for (size_t size = 64; size < image.size; size += 61) {
        memcpy(copy, image.bytes, size);
        if (oh_elf_open(&elf, copy, size) == 0)
            (void)oh_allocator_find(&elf, &found);
    }
    uint32_t random = 1;
    for (int round = 0; round < 300; round++) {
        memcpy(copy, image.bytes, image.size);
        for (int i = 0; i < 40; i++) {
            random = random * 1664525u + 1013904223u;
            // Half of it into the last part, where the tables are.
            size_t from = i % 2 ? image.size - image.size / 4 : 0;
            copy[from + (random >> 4) % (image.size - from)] = (uint8_t)(random >> 24);
        }
        if (oh_elf_open(&elf, copy, image.size) == 0) {
            (void)oh_allocator_find(&elf, &found);
            (void)oh_allocator_has_messages(&elf);
        }
    }
    free(copy);
    oh_image_close(&image);
}

static void test_the_facts_agree_with_the_names(void **state)
{
    (void)state;
    const struct oh_allocator_facts *facts = oh_allocator_facts(OH_ALLOCATOR_xallocx);
    assert_string_equal(facts->name, "xallocx");
    assert_int_equal(facts->arguments, 4);
    assert_int_equal(facts->shape, OH_SHAPE_RESIZE_IN_PLACE);
    assert_true(facts->has_prefix);
    assert_false(oh_allocator_facts(OH_ALLOCATOR__ZdlPvmSt11align_val_t)->has_prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function_is_found_under_its_prefix),
        cmocka_unit_test(test_a_program_without_it_has_none),
        cmocka_unit_test(test_a_stripped_program_cannot_be_known_but_has_its_messages),
        cmocka_unit_test(test_damaged_files_end_the_search),
        cmocka_unit_test(test_the_facts_agree_with_the_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
