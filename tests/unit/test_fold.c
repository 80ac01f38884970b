// SPDX-License-Identifier: Apache-2.0
//
// Folding: the totals stay, the large sites stay, the limits hold.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "profile/fold.h"
#include "profile/pprof.h"
#include "support/random.h"

enum { ARENA_BYTES = 128 << 20, SITES = 3000, MANY_BYTES = 1 << 30 };

static struct oh_arena arena;
static struct oh_profile profile;
static int64_t totals[OH_VALUE_COUNT];

// SITES sites of random sizes in `packages` packages, each with a function of its own.
static void fill(uint32_t packages)
{
    struct oh_random random = {packages};
    char name[64];
    memset(totals, 0, sizeof totals);
    for (uint32_t i = 0; i < SITES; i++) {
        struct oh_profile_function function = {0};
        struct oh_profile_line line = {.line = i};
        struct oh_profile_sample sample = {.depth = 1};
        uint32_t location, index;
        int length = snprintf(name, sizeof name, "function_with_a_name_%u", i);
        assert_int_equal(oh_profile_intern_string(&profile, name, (size_t)length, &function.name),
                         0);
        assert_int_equal(oh_profile_intern_function(&profile, &function, &line.function), 0);
        const struct oh_profile_location made = {
            .address = i, .lines = &line, .line_count = 1, .mapping = OH_PROFILE_NONE};
        assert_int_equal(oh_profile_intern_location(&profile, &made, &location), 0);
        sample.locations = &location;
        length = snprintf(name, sizeof name, "package/%u", i % packages);
        assert_int_equal(oh_profile_intern_string(&profile, name, (size_t)length,
                                                  &sample.labels[OH_LABEL_INIT_PACKAGE]),
                         0);
        for (int v = 0; v < OH_VALUE_COUNT; v++) {
            sample.values[v] = (int64_t)oh_random_below(&random, 1 << 20);
            totals[v] += sample.values[v];
        }
        assert_int_equal(oh_profile_add_sample(&profile, &sample, &index), 0);
    }
}

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

static bool is_other(const struct oh_profile_sample *sample)
{
    const struct oh_profile_location *location = &profile.locations[sample->locations[0]];
    return strcmp(oh_profile_text(&profile, profile.functions[location->lines[0].function].name),
                  "[other sites]") == 0;
}

static void expect_totals(void)
{
    int64_t sums[OH_VALUE_COUNT] = {0};
    for (uint32_t i = 0; i < profile.sample_count; i++) {
        for (int v = 0; v < OH_VALUE_COUNT; v++)
            sums[v] += profile.samples[i].values[v];
    }
    assert_memory_equal(sums, totals, sizeof totals);
}

static void test_fold_small_profile_is_untouched(void **state)
{
    (void)state;
    fill(3);
    assert_int_equal(oh_fold_to_limits(&profile, SITES, MANY_BYTES), 0);
    assert_int_equal(profile.sample_count, SITES);
    assert_int_equal(profile.comment_count, 0);
}

static void test_fold_largest_sites_stay(void **state)
{
    int64_t least_kept = INT64_MAX;
    uint32_t others = 0;
    (void)state;
    fill(3);
    int64_t *all = test_malloc(SITES * sizeof *all);
    for (uint32_t i = 0; i < SITES; i++)
        all[i] = profile.samples[i].values[OH_VALUE_INUSE_SPACE];
    assert_int_equal(oh_fold_to_limits(&profile, 100, MANY_BYTES), 0);
    assert_int_equal(profile.sample_count, 100);
    for (uint32_t i = 0; i < profile.sample_count; i++) {
        int64_t value = profile.samples[i].values[OH_VALUE_INUSE_SPACE];
        others += is_other(&profile.samples[i]);
        if (!is_other(&profile.samples[i]) && value < least_kept)
            least_kept = value;
    }
    uint32_t larger = 0;
    for (uint32_t i = 0; i < SITES; i++)
        larger += all[i] >= least_kept;
    test_free(all);
    assert_int_equal(others, 3);
    assert_int_equal(larger, 97);
    expect_totals();
    assert_int_equal(profile.comment_count, 1);
    assert_non_null(strstr(oh_profile_text(&profile, profile.comments[0]), "2903 in all"));
}

static void test_fold_more_label_sets_than_samples_keeps_the_limit(void **state)
{
    (void)state;
    fill(SITES);
    assert_int_equal(oh_fold_to_limits(&profile, 100, MANY_BYTES), 0);
    assert_true(profile.sample_count <= 100);
    expect_totals();
}

static int count_bytes(void *arg, const void *data, size_t size)
{
    (void)data;
    *(size_t *)arg += size;
    return 0;
}

static void test_fold_bytes_are_kept_below_the_limit(void **state)
{
    size_t bytes = 0;
    (void)state;
    fill(5);
    assert_int_equal(oh_fold_to_limits(&profile, SITES, 50000), 0);
    assert_int_equal(oh_pprof_write_raw(&profile, count_bytes, &bytes), 0);
    assert_true(bytes <= 50000 + 200); // The comment comes behind.
    assert_true(profile.sample_count > 200);
    expect_totals();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fold_small_profile_is_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fold_largest_sites_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fold_more_label_sets_than_samples_keeps_the_limit,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_fold_bytes_are_kept_below_the_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
