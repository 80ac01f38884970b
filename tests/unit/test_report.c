// SPDX-License-Identifier: Apache-2.0
//
// Reports and differences of profiles made by hand: what they show, in which order, and what they
// say when there is nothing to show.

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/diff.h"
#include "report/render.h"
#include "report/select.h"
#include "report/text.h"
#include "support/cmocka.h"

enum { ARENA_BYTES = 64 << 20 };

static struct oh_arena arena;
static struct oh_profile older;
static struct oh_profile newer;
static struct oh_err err;
static char *output;

static uint32_t text(struct oh_profile *profile, const char *words)
{
    uint32_t string = 0;
    assert_int_equal(oh_profile_intern_string(profile, words, strlen(words), &string), 0);
    return string;
}

// One frame per name, leaf first, "a b c". An address of its own for each profile and stack.
static uint32_t add_stack(struct oh_profile *profile, const char *names, const char *phase,
                          const char *kind, int64_t inuse, double variance)
{
    static uint64_t address = 0x1000;
    uint32_t locations[8];
    uint32_t depth = 0;
    char words[128];
    (void)snprintf(words, sizeof words, "%s", names);
    for (char *name = strtok(words, " "); name != NULL; name = strtok(NULL, " ")) {
        const struct oh_profile_function function = {
            .name = text(profile, name),
            .system_name = text(profile, name),
            .file = text(profile, name[0] == '[' ? "" : "/src/app.c")};
        const struct oh_profile_mapping mapping = {.limit = 1 << 20,
                                                   .file = text(profile, "/opt/app")};
        struct oh_profile_line line = {.line = 12};
        struct oh_profile_location location = {
            .address = address++, .lines = &line, .line_count = 1};
        assert_int_equal(oh_profile_intern_function(profile, &function, &line.function), 0);
        assert_int_equal(oh_profile_intern_mapping(profile, &mapping, &location.mapping), 0);
        assert_int_equal(oh_profile_intern_location(profile, &location, &locations[depth]), 0);
        depth++;
    }
    const struct oh_profile_sample sample = {
        .locations = locations,
        .depth = depth,
        .labels = {text(profile, "unmanaged"), text(profile, kind), text(profile, phase), 0},
        .values = {20, 2 * inuse + 100, inuse > 0 ? 10 : 0, inuse},
        .variances = {0, variance, 0, variance},
    };
    uint32_t index = 0;
    assert_int_equal(oh_profile_add_sample(profile, &sample, &index), 0);
    return index;
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(oh_arena_init(&arena, ARENA_BYTES), 0);
    assert_int_equal(oh_profile_init(&older, &arena), 0);
    assert_int_equal(oh_profile_init(&newer, &arena), 0);
    older.period = newer.period = 1;
    output = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_arena_fini(&arena);
    free(output);
    return 0;
}

static const struct oh_report_query everything = {.sort = OH_VALUE_INUSE_SPACE, .limit = 20};

static const char *render(const struct oh_report_query *query)
{
    const struct oh_report_input input = {.title = "The title", .profile = &newer};
    size_t len = 0;
    free(output);
    FILE *const out = open_memstream(&output, &len);
    assert_non_null(out);
    assert_int_equal(oh_report_render(out, &input, query, &err), 0);
    assert_int_equal(fclose(out), 0);
    return output;
}

static const char *render_diff(const struct oh_report_query *query)
{
    const struct oh_report_input from = {.title = "Older", .profile = &older};
    const struct oh_report_input to = {.title = "Newer", .profile = &newer};
    size_t len = 0;
    free(output);
    FILE *const out = open_memstream(&output, &len);
    assert_non_null(out);
    assert_int_equal(oh_report_render_diff(out, &from, &to, query, &err), 0);
    assert_int_equal(fclose(out), 0);
    return output;
}

static void has(const char *words)
{
    if (strstr(output, words) == NULL) {
        fail_msg("no \"%s\" in:\n%s", words, output);
    }
}

static void has_not(const char *words)
{
    if (strstr(output, words) != NULL) {
        fail_msg("\"%s\" in:\n%s", words, output);
    }
}

static void in_order(const char *first, const char *second)
{
    has(first);
    has(second);
    assert_true(strstr(output, first) < strstr(output, second));
}

static void test_report_largest_first_with_totals(void **state)
{
    (void)state;
    (void)add_stack(&newer, "small main", "main", "malloc", 1024, 0);
    (void)add_stack(&newer, "large main", "init", "malloc", 3072, 0);
    (void)oh_profile_add_comment(&newer, "whose memory", 12);
    (void)render(&everything);
    in_order("large", "small");
    has("The title");
    has("comments   whose memory");
    has("every recorded allocation: the numbers are exact");
    has("in use     4.00 KiB in 20 objects");
    has("by phase   init 3.00 KiB, main 1.00 KiB in use");
    has("75.0%");
    has("100.0%");
    has("/src/app.c:12");
    has_not("±");
}

static void test_report_stacks_that_look_alike_are_one_row(void **state)
{
    (void)state;
    (void)add_stack(&newer, "leaf main", "main", "malloc", 1024, 0);
    (void)add_stack(&newer, "leaf main", "main", "malloc", 1024, 0); // At other addresses.
    (void)add_stack(&newer, "leaf main", "init", "malloc", 1024, 0);
    (void)add_stack(&newer, "leaf", "main", "malloc", 1024, 0);
    struct oh_report_rows rows;
    assert_int_equal(oh_report_select(&newer, &everything, &rows, &err), 0);
    assert_int_equal(rows.count, 3);
    assert_int_equal((long)rows.rows[0].values[OH_VALUE_INUSE_SPACE], 2048);
    assert_int_equal((long)rows.rows[0].values[OH_VALUE_INUSE_OBJECTS], 20);
    assert_int_equal((long)rows.total.values[OH_VALUE_INUSE_SPACE], 4096);
    oh_report_rows_fini(&rows);
}

// Rows that look alike add up; what is neither resident nor swapped out was never touched.
static void test_report_resident_shows_what_the_pages_are(void **state)
{
    (void)state;
    struct oh_report_query query = everything;
    for (int i = 0; i < 2; i++) {
        const uint32_t index = add_stack(&newer, "leaf main", "main", "malloc", 8192, 0);
        newer.samples[index].residency[OH_RESIDENCY_RESIDENT] = 4096;
        newer.samples[index].residency[OH_RESIDENCY_SWAPPED] = 1024;
    }
    query.is_resident = true;
    (void)render(&query);
    has("resident   8.00 KiB of what is in use, 2.00 KiB swapped out");
    has("  16.0 KiB         20   8.00 KiB   2.00 KiB   6.00 KiB 100.0%");
    has_not("  allocated    objects");
    (void)render(&everything);
    has("allocated    objects");
    has_not("swapped");
}

static void test_report_estimates_show_their_error(void **state)
{
    (void)state;
    newer.period = 4096;
    (void)add_stack(&newer, "leaf main", "main", "malloc", 1000, 120.0 * 120.0);
    (void)render(&everything);
    has("one sample per 4.00 KiB on average");
    has("±12%");
}

static void test_report_filters(void **state)
{
    (void)state;
    (void)add_stack(&newer, "alpha main", "init", "malloc", 1000, 0);
    (void)add_stack(&newer, "beta main", "main", "malloc", 2000, 0);
    (void)add_stack(&newer, "gamma main", "main", "thread", 4000, 0);
    struct oh_report_query query = everything;
    query.phase = "init";
    (void)render(&query);
    has("alpha");
    has_not("beta");
    has("  only       --phase init: 1 of 3 stacks\n"
        "   in use    1000 B in 10 objects\n"
        "   allocated 2.05 KiB in 20 objects\n");
    query = everything;
    query.kind = "thread";
    (void)render(&query);
    has("gamma");
    has_not("beta");
    query = everything;
    query.focus = "^(alpha|beta)$";
    (void)render(&query);
    has("alpha");
    has("beta");
    has_not("gamma");
    query.focus = "opt/app$"; // The module.
    (void)render(&query);
    has("3 of 3 stacks");
    query.focus = "app[.]c"; // The file.
    (void)render(&query);
    has("3 of 3 stacks");
}

static void test_report_reservations_are_shown_when_they_are_asked_for(void **state)
{
    (void)state;
    (void)add_stack(&newer, "alpha main", "main", "malloc", 3072, 0);
    (void)add_stack(&newer, "beta main", "main", "mmap", 1024, 0);
    (void)add_stack(&newer, "gamma main", "main", "reserve", 1 << 20, 0);
    struct oh_report_query query = everything;
    (void)render(&query);
    has("  in use     4.00 KiB in 20 objects\n");
    has("  reserved   1.00 MiB of address space: not memory");
    has("  by phase   main 4.00 KiB in use\n");
    has("  by kind    malloc 3.00 KiB, mmap 1.00 KiB in use\n");
    has("75.0%");
    has_not("gamma");
    query.kind = "mmap,reserve";
    (void)render(&query);
    has("  by kind    malloc 3.00 KiB, mmap 1.00 KiB, reserve 1.00 MiB in use\n");
    has("gamma");
    has("beta");
    has_not("alpha");
    has_not("not memory");
}

static void test_report_limit_tells_the_rest(void **state)
{
    (void)state;
    (void)add_stack(&newer, "first", "main", "malloc", 3072, 0);
    (void)add_stack(&newer, "second", "main", "malloc", 2048, 0);
    (void)add_stack(&newer, "third", "main", "malloc", 1024, 0);
    struct oh_report_query query = everything;
    query.limit = 1;
    (void)render(&query);
    has("first");
    has_not("second");
    has("2 more stacks with 3.00 KiB");
    query.limit = 0;
    (void)render(&query);
    has("third");
    has_not("more stacks");
}

static void test_report_freed_stacks_are_counted(void **state)
{
    (void)state;
    (void)add_stack(&newer, "kept", "main", "malloc", 3072, 0);
    (void)add_stack(&newer, "freed", "main", "malloc", 0, 0);
    (void)render(&everything);
    has_not("freed");
    has("1 stack with no inuse_space is not shown");
    struct oh_report_query query = everything;
    query.sort = OH_VALUE_ALLOC_SPACE;
    (void)render(&query);
    has("freed");
}

static void test_report_empty_says_why(void **state)
{
    (void)state;
    (void)render(&everything);
    has("no allocation was recorded");
    newer.period = 524288;
    (void)render(&everything);
    has("no allocation was sampled");
    has("one sample per 512 KiB on average");
    newer.has_means = true;
    (void)render(&everything);
    has("one sample per 512 KiB or less on average");
    newer.has_means = false;
    has("--exact");
    (void)add_stack(&newer, "freed", "main", "malloc", 0, 0);
    (void)render(&everything);
    has("what they allocated was freed");
    struct oh_report_query query = everything;
    query.phase = "init";
    (void)render(&query);
    has("none of the 1 stacks matches");
}

static void test_report_wrong_expression_is_told(void **state)
{
    (void)state;
    struct oh_report_query query = everything;
    struct oh_report_rows rows;
    query.focus = "(";
    assert_int_equal(oh_report_select(&newer, &query, &rows, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--focus ( is not a regular expression"));
}

static void test_report_fallback_frame_has_no_file(void **state)
{
    (void)state;
    (void)add_stack(&newer, "[lib.so] main", "main", "malloc", 1000, 0);
    (void)render(&everything);
    has("        [lib.so]\n");
}

static void test_diff_matches_names_not_addresses(void **state)
{
    (void)state;
    (void)add_stack(&older, "leak main", "main", "malloc", 1024, 0);
    (void)add_stack(&older, "gone main", "main", "malloc", 2048, 0);
    (void)add_stack(&older, "same main", "main", "malloc", 512, 0);
    (void)add_stack(&newer, "same main", "main", "malloc", 512, 0);
    (void)add_stack(&newer, "leak main", "main", "malloc", 5120, 0);
    (void)add_stack(&newer, "fresh main", "main", "malloc", 1024, 0);
    (void)render_diff(&everything);
    in_order("+4.00 KiB", "+1.00 KiB");
    in_order("leak", "fresh");
    in_order("fresh", "gone");
    has("-2.00 KiB");
    has_not("same");
    has("2 stacks grew by 5.00 KiB, 1 shrank by 2.00 KiB, 1 did not change");
}

static void test_diff_labels_tell_stacks_apart(void **state)
{
    (void)state;
    (void)add_stack(&older, "leak main", "init", "malloc", 1024, 0);
    (void)add_stack(&newer, "leak main", "main", "malloc", 1024, 0);
    (void)render_diff(&everything);
    has("1 stack grew by 1.00 KiB, 1 shrank by 1.00 KiB, 0 did not change");
}

static void test_diff_errors_add_up(void **state)
{
    (void)state;
    older.period = newer.period = 4096;
    (void)add_stack(&older, "leak", "main", "malloc", 10240, 300.0 * 300.0);
    (void)add_stack(&newer, "leak", "main", "malloc", 20480, 400.0 * 400.0);
    (void)render_diff(&everything);
    has("±500 B");
}

static void test_diff_nothing_says_so(void **state)
{
    (void)state;
    (void)render_diff(&everything);
    has("no stack of either profile matches");
    (void)add_stack(&older, "same", "main", "malloc", 512, 0);
    (void)add_stack(&newer, "same", "main", "malloc", 512, 0);
    (void)render_diff(&everything);
    has("no stack changed");
}

static void check_error(double value, double variance, const char *wanted)
{
    char cell[OH_REPORT_CELL_BYTES];
    oh_report_format_error(value, variance, cell);
    assert_string_equal(cell, wanted);
}

static void test_format_error_edges(void **state)
{
    (void)state;
    check_error(100, 0, "");
    check_error(0, 100, "");
    check_error(100, 25, "±5.0%");
    check_error(100, 12.4 * 12.4, "±12%");
    check_error(-100, 25, "±5.0%");
    check_error(1, 1e9, "±>999%");
    check_error(1, (double)NAN, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_report_largest_first_with_totals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_stacks_that_look_alike_are_one_row, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_report_resident_shows_what_the_pages_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_report_estimates_show_their_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_reservations_are_shown_when_they_are_asked_for,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_limit_tells_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_freed_stacks_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_empty_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_wrong_expression_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_fallback_frame_has_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_matches_names_not_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_labels_tell_stacks_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_errors_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_nothing_says_so, setup, teardown),
        cmocka_unit_test(test_format_error_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
