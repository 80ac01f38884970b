// SPDX-License-Identifier: Apache-2.0
//
// Interning, merging, repairing: the profile in memory.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "profile/model.h"

enum { ARENA_BYTES = 64 << 20, MANY = 20000 };

static struct oh_arena arena;
static struct oh_profile profile;

static int setup(void **state)
{
    (void)state;
    (void)oh_arena_init(&arena, ARENA_BYTES);
    return oh_profile_init(&profile, &arena);
}

static int teardown(void **state)
{
    (void)state;
    oh_arena_fini(&arena);
    return 0;
}

static uint32_t intern(const char *data, size_t length)
{
    uint32_t string = UINT32_MAX;
    assert_int_equal(oh_profile_intern_string(&profile, data, length, &string), 0);
    return string;
}

static void test_intern_string_equal_ones_are_one(void **state)
{
    (void)state;
    assert_int_equal(intern("", 0), 0);
    uint32_t first = intern("abc", 3);
    assert_int_equal(intern("abcd", 3), first);
    assert_int_not_equal(intern("abcd", 4), first);
    assert_string_equal(oh_profile_text(&profile, first), "abc");
}

static void test_intern_string_many_are_found_again(void **state)
{
    char text[32];
    (void)state;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            int length = snprintf(text, sizeof text, "name_%u", i);
            assert_int_equal(intern(text, (size_t)length), i + 1);
        }
    }
    assert_int_equal(profile.string_count, MANY + 1);
}

static void test_intern_string_invalid_utf8_is_repaired(void **state)
{
    static const char *const texts[][2] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 // Overlong.
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // A surrogate.
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd"}, // Cut off.
        {"\x80", "\xef\xbf\xbd"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(oh_profile_text(&profile, intern(texts[i][0], strlen(texts[i][0]))),
                            texts[i][1]);
}

static void test_intern_string_too_long_is_cut_at_a_character(void **state)
{
    static char text[OH_PROFILE_MAX_STRING + 9];
    (void)state;
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    uint32_t string = intern(text, sizeof text);
    assert_int_equal(profile.strings[string].length, OH_PROFILE_MAX_STRING - 1);
    memset(text, '\xff', sizeof text);
    string = intern(text, sizeof text);
    assert_int_equal(profile.strings[string].length, OH_PROFILE_MAX_STRING);
}

static uint32_t add(const uint32_t *locations, uint32_t depth, uint32_t phase, int64_t bytes)
{
    struct oh_profile_sample sample = {.locations = locations, .depth = depth};
    uint32_t index = UINT32_MAX;
    sample.labels[OH_LABEL_PHASE] = phase;
    sample.values[OH_VALUE_ALLOC_SPACE] = bytes;
    sample.values[OH_VALUE_ALLOC_OBJECTS] = 2;
    sample.variances[OH_VALUE_ALLOC_SPACE] = 0.5;
    assert_int_equal(oh_profile_add_sample(&profile, &sample, &index), 0);
    return index;
}

static void test_add_sample_equal_frames_and_labels_add_up(void **state)
{
    const uint32_t stack[] = {1, 2, 3};
    uint32_t same[] = {1, 2, 3};
    (void)state;
    uint32_t first = add(stack, 3, 1, 100);
    assert_int_equal(add(same, 3, 1, 11), first);
    same[0] = 9; // The profile has a copy.
    assert_int_not_equal(add(same, 3, 1, 1), first);
    assert_int_not_equal(add(stack, 2, 1, 1), first);
    assert_int_not_equal(add(stack, 3, 2, 1), first);
    assert_int_equal(profile.samples[first].values[OH_VALUE_ALLOC_SPACE], 111);
    assert_float_equal(profile.samples[first].variances[OH_VALUE_ALLOC_SPACE], 1, 1e-9);
    assert_int_equal(oh_profile_block_bytes(&profile.samples[first]), 27);
    assert_int_equal(profile.sample_count, 4);
}

static void test_add_sample_sums_do_not_overflow(void **state)
{
    const uint32_t stack[] = {1};
    (void)state;
    uint32_t index = add(stack, 1, 0, INT64_MAX - 1);
    add(stack, 1, 0, 100);
    assert_int_equal(profile.samples[index].values[OH_VALUE_ALLOC_SPACE], INT64_MAX);
}

static bool is_large(void *arg, const struct oh_profile_sample *sample)
{
    return sample->values[OH_VALUE_ALLOC_SPACE] >= *(const int64_t *)arg;
}

static void test_keep_samples_others_are_gone_and_the_rest_is_found(void **state)
{
    int64_t least = 500;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        const uint32_t stack[] = {i};
        add(stack, 1, 0, i);
    }
    oh_profile_keep_samples(&profile, is_large, &least);
    assert_int_equal(profile.sample_count, 500);
    const uint32_t kept[] = {700};
    const uint32_t gone[] = {3};
    assert_int_equal(add(kept, 1, 0, 1), 200);
    assert_int_equal(add(gone, 1, 0, 1), 500);
}

static void test_intern_location_has_its_own_lines(void **state)
{
    struct oh_profile_line lines[] = {{1, 10}, {2, 20}};
    struct oh_profile_location location = {
        .address = 5, .lines = lines, .line_count = 2, .mapping = OH_PROFILE_NONE};
    uint32_t first, second;
    (void)state;
    assert_int_equal(oh_profile_intern_location(&profile, &location, &first), 0);
    assert_int_equal(oh_profile_intern_location(&profile, &location, &second), 0);
    assert_int_equal(first, second);
    lines[1].line = 21;
    assert_int_equal(oh_profile_intern_location(&profile, &location, &second), 0);
    assert_int_not_equal(first, second);
    assert_int_equal(profile.locations[first].lines[1].line, 20);
}

static void test_expect_entries_stay_and_the_next_ones_move_nothing(void **state)
{
    enum { EXPECTED = 5000 };
    char text[32];
    (void)state;
    uint32_t before = intern("known before", 12);
    assert_int_equal(oh_profile_expect(&profile, EXPECTED), 0);
    assert_int_equal(intern("known before", 12), before);
    const struct oh_profile_string *strings = profile.strings;
    const struct oh_profile_slot *slots = profile.string_set.slots;
    for (uint32_t i = 0; i < EXPECTED; i++) {
        int length = snprintf(text, sizeof text, "name_%u", i);
        (void)intern(text, (size_t)length);
    }
    assert_ptr_equal(profile.strings, strings);
    assert_ptr_equal(profile.string_set.slots, slots);
    assert_int_equal(intern("known before", 12), before);
    assert_int_equal(oh_profile_expect(&profile, UINT32_MAX), -EOVERFLOW);
    assert_int_equal(intern("name_7", 6), before + 8);
}

static void test_intern_full_arena_says_so(void **state)
{
    char text[64];
    int rc = 0;
    uint32_t string;
    (void)state;
    oh_arena_fini(&arena);
    (void)oh_arena_init(&arena, 64 << 10);
    assert_int_equal(oh_profile_init(&profile, &arena), 0);
    for (uint32_t i = 0; rc == 0; i++) {
        int length = snprintf(text, sizeof text, "a_name_that_takes_room_%u", i);
        rc = oh_profile_intern_string(&profile, text, (size_t)length, &string);
    }
    assert_int_equal(rc, -ENOMEM);
    assert_int_equal(intern("a_name_that_takes_room_1", 24), 2); // Still to be read.
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_intern_string_equal_ones_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_intern_string_many_are_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_intern_string_invalid_utf8_is_repaired, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_intern_string_too_long_is_cut_at_a_character, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_add_sample_equal_frames_and_labels_add_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_add_sample_sums_do_not_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_samples_others_are_gone_and_the_rest_is_found,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_intern_location_has_its_own_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expect_entries_stay_and_the_next_ones_move_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_intern_full_arena_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
