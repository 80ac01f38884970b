// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <stdio.h>
#include <string.h>

#include "support/cmocka.h"

static const uint64_t default_sample_bytes = UINT64_C(524288);
static const uint64_t default_max_bytes = UINT64_C(134217728);

// Reads an environment of one variable.
static void read_one(struct oh_config *config, char *entry)
{
    char *environment[] = {entry, NULL};
    oh_config_read(config, environment);
}

static void test_read_of_nothing_gives_the_defaults(void **state)
{
    (void)state;
    char *empty[] = {NULL};
    char **environments[] = {empty, NULL};
    for (int i = 0; i < 2; i++) {
        struct oh_config config;
        memset(&config, 0xff, sizeof config);

        oh_config_read(&config, environments[i]);

        assert_false(config.disabled);
        assert_false(config.exact);
        assert_true(config.timeline);
        assert_true(config.sample_bytes == default_sample_bytes);
        assert_true(config.max_bytes == default_max_bytes);
        assert_int_equal(config.max_depth, 128);
        assert_true(config.run_token == 0);
        assert_int_equal(config.max_overhead_ppm, 0);
        assert_null(config.dir);
        assert_null(config.tmp_dir);
        assert_null(config.profile_entry);
        assert_int_equal(config.note_count, 0);
    }
}

static void test_read_of_good_values_takes_them_all(void **state)
{
    (void)state;
    // given
    char *environment[] = {
        "PATH=/bin",
        "OFFHEAP_EXACT=1",
        "OFFHEAP_SAMPLE_BYTES=64K",
        "OFFHEAP_DIR=/data/x",
        "OFFHEAP_MAX_BYTES=1GiB",
        "OFFHEAP_MAX_DEPTH=512",
        "TMPDIR=/elsewhere",
        "OFFHEAP_RUN_TOKEN=18446744073709551615",
        "OFFHEAP_DISABLE=1",
        "OFFHEAP_PROFILE=/tmp/%p.pb.gz",
        "OFFHEAP_TIMELINE=0",
        NULL,
    };
    struct oh_config config;

    // when
    oh_config_read(&config, environment);

    // then
    assert_true(config.disabled);
    assert_true(config.exact);
    assert_false(config.timeline);
    assert_true(config.sample_bytes == 65536);
    assert_true(config.max_bytes == UINT64_C(1) << 30);
    assert_int_equal(config.max_depth, 512);
    assert_true(config.run_token == UINT64_MAX);
    assert_string_equal(config.dir, "/data/x");
    assert_string_equal(config.tmp_dir, "/elsewhere");
    assert_ptr_equal(config.profile_entry, environment[9]);
    assert_int_equal(config.note_count, 0);
}

static void test_read_of_an_empty_value_is_as_if_absent(void **state)
{
    (void)state;
    char *environment[] = {
        "OFFHEAP_EXACT=",     "OFFHEAP_SAMPLE_BYTES=", "OFFHEAP_DIR=",       "OFFHEAP_MAX_BYTES=",
        "OFFHEAP_MAX_DEPTH=", "OFFHEAP_DISABLE=",      "OFFHEAP_RUN_TOKEN=", NULL,
    };
    struct oh_config config;

    oh_config_read(&config, environment);

    assert_false(config.exact);
    assert_false(config.disabled);
    assert_true(config.sample_bytes == default_sample_bytes);
    assert_null(config.dir);
    assert_int_equal(config.note_count, 0);
}

static void test_read_of_a_bad_value_falls_back_and_leaves_a_note(void **state)
{
    (void)state;
    static char *const bad[] = {
        "OFFHEAP_EXACT=yes",
        "OFFHEAP_EXACT=2",
        "OFFHEAP_DISABLE=true",
        "OFFHEAP_SAMPLE_BYTES=0",
        "OFFHEAP_SAMPLE_BYTES=1073741825",
        "OFFHEAP_SAMPLE_BYTES=512x",
        "OFFHEAP_SAMPLE_BYTES=-1",
        "OFFHEAP_SAMPLE_BYTES=99999999999999999999",
        "OFFHEAP_MAX_OVERHEAD=0.009%",
        "OFFHEAP_MAX_OVERHEAD=50.0001",
        "OFFHEAP_MAX_OVERHEAD=1.",
        "OFFHEAP_MAX_OVERHEAD=.5",
        "OFFHEAP_MAX_OVERHEAD=1%%",
        "OFFHEAP_MAX_OVERHEAD=-1",
        "OFFHEAP_MAX_OVERHEAD=1.00001",
        "OFFHEAP_MAX_OVERHEAD=99999999999999999999",
        "OFFHEAP_MAX_OVERHEAD=one",
        "OFFHEAP_MAX_BYTES=2097151",
        "OFFHEAP_MAX_BYTES=68719476737",
        "OFFHEAP_MAX_BYTES=65GiB",
        "OFFHEAP_MAX_DEPTH=7",
        "OFFHEAP_MAX_DEPTH=513",
        "OFFHEAP_MAX_DEPTH=deep",
        "OFFHEAP_DIR=relative/dir",
        "OFFHEAP_RUN_TOKEN=x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oh_config config;

        read_one(&config, bad[i]);

        assert_false(config.exact);
        assert_false(config.disabled);
        assert_true(config.sample_bytes == default_sample_bytes);
        assert_true(config.max_bytes == default_max_bytes);
        assert_int_equal(config.max_depth, 128);
        assert_true(config.run_token == 0);
        assert_null(config.dir);
        assert_int_equal(config.note_count, 1);
        // The note names the variable with its value, and what was done.
        assert_non_null(strstr(config.notes[0], bad[i]));
        assert_non_null(strstr(config.notes[0], "the default was used"));
    }
}

static void test_read_of_a_bound_accepts_it(void **state)
{
    (void)state;
    static char *const good[] = {
        "OFFHEAP_SAMPLE_BYTES=1",    "OFFHEAP_SAMPLE_BYTES=1073741824",
        "OFFHEAP_MAX_BYTES=2097152", "OFFHEAP_MAX_BYTES=68719476736",
        "OFFHEAP_MAX_DEPTH=8",       "OFFHEAP_MAX_DEPTH=512",
        "OFFHEAP_EXACT=0",           "OFFHEAP_DISABLE=0",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct oh_config config;
        read_one(&config, good[i]);
        assert_int_equal(config.note_count, 0);
        assert_false(config.exact || config.disabled);
    }
}

static void test_note_of_a_bad_number_names_its_bounds(void **state)
{
    (void)state;
    struct oh_config config;
    read_one(&config, "OFFHEAP_MAX_DEPTH=9999");
    assert_non_null(strstr(config.notes[0], "a number from 8 to 512"));
}

static void test_note_of_a_long_value_is_cut_inside_its_bounds(void **state)
{
    (void)state;
    char entry[4096] = "OFFHEAP_EXACT=";
    memset(entry + strlen(entry), 'y', sizeof entry - strlen(entry) - 1);
    struct oh_config config;

    read_one(&config, entry);

    assert_int_equal(config.note_count, 1);
    assert_in_range(strlen(config.notes[0]), 60, OH_CONFIG_NOTE_BYTES - 1);
    assert_non_null(strstr(config.notes[0], "is not 0 or 1"));
}

static void test_read_of_a_dir_too_long_for_a_path_is_refused(void **state)
{
    (void)state;
    enum { LONGEST = 3000, NAME = sizeof "OFFHEAP_DIR=" - 1 };
    char entry[NAME + LONGEST + 2] = "OFFHEAP_DIR=/";
    struct oh_config config;

    memset(entry + NAME + 1, 'd', LONGEST - 1);
    read_one(&config, entry);
    assert_ptr_equal(config.dir, entry + NAME);
    assert_int_equal(config.note_count, 0);

    entry[NAME + LONGEST] = 'd';
    read_one(&config, entry);
    assert_null(config.dir);
    assert_int_equal(config.note_count, 1);
}

static void test_read_of_more_bad_values_than_notes_keeps_within_them(void **state)
{
    (void)state;
    // Every switch and number wrong at once, which is all that there is.
    char *environment[] = {
        "OFFHEAP_EXACT=x",     "OFFHEAP_DISABLE=x",      "OFFHEAP_SAMPLE_BYTES=x",
        "OFFHEAP_DIR=x",       "OFFHEAP_MAX_BYTES=x",    "OFFHEAP_MAX_DEPTH=x",
        "OFFHEAP_RUN_TOKEN=x", "OFFHEAP_MAX_OVERHEAD=x", NULL,
    };
    struct oh_config config;

    oh_config_read(&config, environment);

    assert_int_equal(config.note_count, 8);
    assert_in_range(config.note_count, 1, OH_CONFIG_NOTES);
}

static void test_read_of_a_budget_takes_per_cent_with_and_without_the_sign(void **state)
{
    (void)state;
    static const struct {
        char *entry;
        uint32_t ppm;
    } good[] = {
        {"OFFHEAP_MAX_OVERHEAD=1%", 10000},     {"OFFHEAP_MAX_OVERHEAD=0.5%", 5000},
        {"OFFHEAP_MAX_OVERHEAD=0.25", 2500},    {"OFFHEAP_MAX_OVERHEAD=3", 30000},
        {"OFFHEAP_MAX_OVERHEAD=0.01", 100},     {"OFFHEAP_MAX_OVERHEAD=50%", 500000},
        {"OFFHEAP_MAX_OVERHEAD=1.2345", 12345}, {"OFFHEAP_MAX_OVERHEAD=", 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct oh_config config;

        read_one(&config, good[i].entry);

        assert_int_equal(config.max_overhead_ppm, good[i].ppm);
        assert_int_equal(config.note_count, 0);
    }
}

static void test_read_of_a_budget_for_exact_mode_leaves_a_note(void **state)
{
    (void)state;
    char *environment[] = {"OFFHEAP_MAX_OVERHEAD=1%", "OFFHEAP_EXACT=1", NULL};
    struct oh_config config;

    oh_config_read(&config, environment);

    assert_true(config.exact);
    assert_int_equal(config.max_overhead_ppm, 0);
    assert_int_equal(config.note_count, 1);
    assert_non_null(strstr(config.notes[0], "OFFHEAP_MAX_OVERHEAD was not used"));
}

static void test_read_ignores_names_that_only_begin_alike(void **state)
{
    (void)state;
    char *environment[] = {"OFFHEAP_EXACTLY=1",   "OFFHEAP_EXACT", "XOFFHEAP_EXACT=1",
                           "OFFHEAP_DISABLE_X=1", "TMPDIRS=/x",    NULL};
    struct oh_config config;

    oh_config_read(&config, environment);

    assert_false(config.exact);
    assert_false(config.disabled);
    assert_null(config.tmp_dir);
    assert_int_equal(config.note_count, 0);
}

static void test_read_of_a_relative_tmpdir_ignores_it(void **state)
{
    (void)state;
    struct oh_config config;
    read_one(&config, "TMPDIR=here");
    assert_null(config.tmp_dir);
}

// A claim renames the variable in place ("OFFHEAP_P" and six characters); a child that inherits the
// renamed string must still find it, and nothing else.
static void test_read_finds_the_profile_under_a_claimed_name(void **state)
{
    (void)state;
    static char *const yes[] = {"OFFHEAP_PROFILE=/x", "OFFHEAP_Pabc123=/x", "OFFHEAP_P000000=/x"};
    static char *const no[] = {"OFFHEAP_P=/x", "OFFHEAP_PROF=/abcdefghijk", "OFFHEAP_PROFILES=/x",
                               "OFFHEAP_QROFILE=/x", "OFFHEAP_PROFILE"};
    struct oh_config config;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        read_one(&config, yes[i]);
        assert_ptr_equal(config.profile_entry, yes[i]);
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        read_one(&config, no[i]);
        assert_null(config.profile_entry);
    }
}

// env.def is the one list: every name in it is read by this module and documented by its default.
static void test_every_documented_default_is_the_one_in_use(void **state)
{
    (void)state;
    struct documented {
        const char *name;
        const char *fallback;
    };
    static const struct documented variables[] = {
#define OH_ENV(id, name, fallback, meaning) {name, fallback},
#include "offheap/env.def"
#undef OH_ENV
    };
    struct oh_config config;
    oh_config_read(&config, NULL);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%llu",
                       strcmp(variables[i].name, "OFFHEAP_SAMPLE_BYTES") == 0
                           ? (unsigned long long)config.sample_bytes
                       : strcmp(variables[i].name, "OFFHEAP_MAX_BYTES") == 0
                           ? (unsigned long long)config.max_bytes
                       : strcmp(variables[i].name, "OFFHEAP_MAX_DEPTH") == 0
                           ? (unsigned long long)config.max_depth
                           : 0ULL);
        if (strcmp(number, "0") != 0)
            assert_string_equal(variables[i].fallback, number);
    }
}

static void test_profile_given_beside_a_claimed_one_wins(void **state)
{
    (void)state;
    char claimed[] = "OFFHEAP_PabcdeF=/tmp/parent.pb.gz";
    char given[] = "OFFHEAP_PROFILE=/tmp/mine.pb.gz";
    char *before[] = {claimed, given, NULL};
    char *after[] = {given, claimed, NULL};
    struct oh_config config;

    oh_config_read(&config, before);
    assert_ptr_equal(config.profile_entry, given);
    oh_config_read(&config, after);
    assert_ptr_equal(config.profile_entry, given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile_given_beside_a_claimed_one_wins),
        cmocka_unit_test(test_read_of_nothing_gives_the_defaults),
        cmocka_unit_test(test_read_of_good_values_takes_them_all),
        cmocka_unit_test(test_read_of_an_empty_value_is_as_if_absent),
        cmocka_unit_test(test_read_of_a_bad_value_falls_back_and_leaves_a_note),
        cmocka_unit_test(test_read_of_a_bound_accepts_it),
        cmocka_unit_test(test_note_of_a_bad_number_names_its_bounds),
        cmocka_unit_test(test_note_of_a_long_value_is_cut_inside_its_bounds),
        cmocka_unit_test(test_read_of_a_dir_too_long_for_a_path_is_refused),
        cmocka_unit_test(test_read_of_more_bad_values_than_notes_keeps_within_them),
        cmocka_unit_test(test_read_of_a_budget_takes_per_cent_with_and_without_the_sign),
        cmocka_unit_test(test_read_of_a_budget_for_exact_mode_leaves_a_note),
        cmocka_unit_test(test_read_ignores_names_that_only_begin_alike),
        cmocka_unit_test(test_read_of_a_relative_tmpdir_ignores_it),
        cmocka_unit_test(test_read_finds_the_profile_under_a_claimed_name),
        cmocka_unit_test(test_every_documented_default_is_the_one_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
