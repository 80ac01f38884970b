// SPDX-License-Identifier: Apache-2.0
//
// What several looks say: each case is told from its opposite. And GOMEMLIMIT's advice.

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory/advice.h"
#include "memory/verdict.h"
#include "memory/watch.h"
#include "support/cmocka.h"

enum { LOOKS = OH_VERDICT_LOOKS };

static const double mib = 1 << 20;
static struct oh_look looks[LOOKS];
static struct oh_verdict verdict;

// Looks in 30 s at a recorded process.
static int setup(void **state)
{
    (void)state;
    memset(looks, 0, sizeof looks);
    for (int i = 0; i < LOOKS; i++) {
        looks[i].time_ns = (uint64_t)i * 3000000000u;
        looks[i].has_recording = true;
        looks[i].is_exact = true;
        looks[i].free_pages = -1;
        looks[i].is_go = true;
    }
    return 0;
}

static void set(int i, double live, double retained, double go)
{
    struct oh_look *const look = &looks[i];
    look->live.resident = live * mib;
    look->parts[OH_PART_C_LIVE] = live * mib;
    look->parts[OH_PART_RETAINED] = retained * mib;
    look->parts[OH_PART_GO] = go * mib;
    look->heap = (live + retained) * mib;
    look->resident = (live + retained + go + 5) * mib;
}

static void set_steady(double live, double live_step, double retained, double retained_step,
                       double go, double go_step)
{
    for (int i = 0; i < LOOKS; i++) {
        set(i, live + i * live_step, retained + i * retained_step, go + i * go_step);
    }
}

static void find(void)
{
    oh_verdict_find(looks, LOOKS, &verdict);
}

static const struct oh_finding *finding_of(enum oh_finding_kind kind)
{
    for (size_t i = 0; i < verdict.count; i++) {
        if (verdict.findings[i].kind == kind) {
            return &verdict.findings[i];
        }
    }
    return NULL;
}

static void test_nothing_grows(void **state)
{
    (void)state;
    set_steady(10, 0, 2, 0, 10, 0);
    find();
    assert_int_equal(verdict.count, 1);
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_non_null(strstr(verdict.findings[0].text, "not growing"));
}

static void test_a_leak_is_c_live(void **state)
{
    (void)state;
    set_steady(10, 0.2, 2, 0, 10, 0);
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_C_LIVE);
    assert_true(verdict.c_live_grows);
    assert_non_null(strstr(verdict.findings[0].text, "+2.00 MiB in 30 s (240 MiB an hour)"));
    assert_null(strstr(verdict.findings[0].text, "does not show"));
    assert_null(finding_of(OH_FINDING_RETAINED));
    assert_null(finding_of(OH_FINDING_GO));
}

static void test_retention_is_no_leak(void **state)
{
    (void)state;
    set_steady(10, 0, 500, 0, 10, 0);
    looks[LOOKS - 1].free_pages = 480 * mib;
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_false(verdict.c_live_grows);
    const struct oh_finding *const retained = finding_of(OH_FINDING_RETAINED);
    assert_non_null(retained);
    assert_non_null(strstr(retained->text, "500 MiB of its 510 MiB hold no live block"));
    assert_non_null(strstr(retained->text, "480 MiB are whole free pages"));
}

static void test_a_little_retention_is_not_worth_a_word(void **state)
{
    (void)state;
    set_steady(60, 0, 19, 0, 16, 0); // Of 100 MiB.
    find();
    assert_null(finding_of(OH_FINDING_RETAINED));
    set_steady(60, 0, 21, 0, 14, 0);
    find();
    assert_non_null(finding_of(OH_FINDING_RETAINED));
}

static void test_retention_that_grows_is_told(void **state)
{
    (void)state;
    set_steady(10, 0, 2, 4, 10, 0);
    find();
    assert_false(verdict.c_live_grows);
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_RETAINED_GROWS);
    assert_non_null(strstr(verdict.findings[0].text, "retention, +40.0 MiB in 30 s"));
    assert_null(strstr(verdict.findings[0].text, "samples do not show"));
    assert_null(finding_of(OH_FINDING_NOT_GROWING));
}

// Live blocks of a byte each take 32, and samples of bytes hardly meet them.
static void test_sampled_retention_that_grows_may_be_tiny_blocks(void **state)
{
    (void)state;
    set_steady(0, 0, 2, 4, 10, 0);
    looks[LOOKS - 1].is_exact = false;
    looks[LOOKS - 1].live.footprint_variance = mib * mib;
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_RETAINED_GROWS);
    assert_non_null(strstr(verdict.findings[0].text, "so small that samples do not show them"));
    looks[LOOKS - 1].live.footprint_variance = 1000 * mib * mib;
    find();
    assert_null(finding_of(OH_FINDING_RETAINED_GROWS));
}

static void test_a_leak_under_retention(void **state)
{
    (void)state;
    set_steady(10, 2, 500, -2, 10, 0);
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_C_LIVE);
    assert_non_null(strstr(verdict.findings[0].text, "the resident size does not show it"));
    assert_non_null(finding_of(OH_FINDING_RETAINED));
}

static void test_go_beside_a_small_leak(void **state)
{
    (void)state;
    set_steady(10, 0.2, 2, 0, 100, 20);
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_GO);
    assert_int_equal(verdict.findings[1].kind, OH_FINDING_C_LIVE);
    set_steady(10, 20, 2, 0, 100, 1);
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_C_LIVE);
    assert_int_equal(verdict.findings[1].kind, OH_FINDING_GO);
}

static void test_waves_are_no_growth(void **state)
{
    (void)state;
    static const double waves[LOOKS] = {10, 14, 11, 15, 13, 10, 15, 12, 14, 11, 14};
    for (int i = 0; i < LOOKS; i++) {
        set(i, waves[i], 1, 10);
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_int_equal(verdict.count, 1);
    // What lies inside of the waves is not denied.
    assert_non_null(strstr(verdict.findings[0].text, "less than 5.00 MiB would not show"));
}

static void test_a_step_and_a_warm_up_level_off(void **state)
{
    (void)state;
    for (int i = 0; i < LOOKS; i++) {
        set(i, i > 2 ? 15 : 10, 1, 10);
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_non_null(strstr(finding_of(OH_FINDING_LEVELS)->text, "C live rose by 5.00 MiB"));
    assert_non_null(strstr(verdict.findings[0].text, "less than 102 KiB would not show"));
    for (int i = 0; i < LOOKS; i++) {
        set(i, 10, 1, 100 - 90 / (1 + i));
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_int_equal(finding_of(OH_FINDING_LEVELS)->part, OH_PART_GO);
    // A step late in the watch is none either.
    for (int i = 0; i < LOOKS; i++) {
        set(i, i > 8 ? 15 : 10, 1, 10);
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
}

// Blocks that nobody touches are no memory; those that are swapped out are.
static void test_untouched_and_swapped_leaks(void **state)
{
    (void)state;
    set_steady(10, 0, 1, 0, 10, 0);
    for (int i = 0; i < LOOKS; i++) {
        looks[i].live.allocated = (10 + 2 * i) * mib;
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_non_null(strstr(finding_of(OH_FINDING_UNTOUCHED)->text, "20.0 MiB more"));
    for (int i = 0; i < LOOKS; i++) {
        looks[i].live.swapped = 2 * i * mib;
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_C_LIVE);
    assert_null(finding_of(OH_FINDING_UNTOUCHED));
}

// Many parts that rise by less than their noise may be much together.
static void test_the_whole_grows_though_no_part_does(void **state)
{
    (void)state;
    set_steady(10, 0, 1, 0, 10, 0);
    for (int i = 0; i < LOOKS; i++) {
        looks[i].parts[OH_PART_STACKS] = looks[i].parts[OH_PART_FILES] =
            looks[i].parts[OH_PART_PROGRAM] = i * 0.02 * mib;
        looks[i].resident += i * 0.06 * mib;
    }
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_OTHER);
    assert_int_equal(verdict.findings[0].part, OH_PART_COUNT);
    assert_null(finding_of(OH_FINDING_NOT_GROWING));
}

static void test_tiny_blocks_are_told_with_what_they_take(void **state)
{
    (void)state;
    set_steady(1, 0.1, 1, 0, 10, 0);
    for (int i = 0; i < LOOKS; i++) {
        looks[i].live.overhead = 3 * i * mib;
    }
    find();
    assert_non_null(strstr(verdict.findings[0].text, "adds to such blocks +31.0 MiB"));
}

// Waves of 10 MiB in one stack, and in another one a block of 20 KB more at each look.
static void set_slow_leak(struct oh_live_block *blocks, double step, bool is_exact)
{
    static const double waves[LOOKS] = {10, 14, 11, 15, 13, 10, 15, 12, 14, 11, 14};
    for (int i = 0; i < LOOKS; i++) {
        const uint64_t leaked = (uint64_t)(step * i);
        const uint64_t mean = is_exact ? 1 : 100; // Blocks that one stands for.
        blocks[2 * i] = (struct oh_live_block){.address = 16,
                                               .size = (uint64_t)(waves[i] * mib),
                                               .weight = 1 << 16,
                                               .bytes = (uint64_t)(waves[i] * mib),
                                               .stack = 7};
        blocks[2 * i + 1] = (struct oh_live_block){.address = 64 << 20,
                                                   .size = leaked / mean + (uint64_t)i,
                                                   .weight = mean << 16,
                                                   .bytes = leaked,
                                                   .stack = 300};
        looks[i].blocks = (struct oh_live){
            .blocks = &blocks[2 * i], .count = 2, .weight_shift = 16, .is_exact = is_exact};
        oh_stack_sums_fini(&looks[i].stacks);
        assert_int_equal(oh_stack_sums_make(&looks[i].blocks, &looks[i].stacks), 0);
        set(i, waves[i], 1, 10);
    }
}

static void test_a_slow_leak_under_waves(void **state)
{
    (void)state;
    struct oh_live_block blocks[2 * LOOKS];
    set_slow_leak(blocks, 20000, true);
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_C_LIVE);
    assert_true(verdict.c_live_grows);
    assert_int_equal(verdict.risers.count, 1);
    assert_true(oh_risers_has(&verdict.risers, 300));
    assert_false(oh_risers_has(&verdict.risers, 7));
    assert_non_null(strstr(verdict.findings[0].text, "went up and down by 5.00 MiB"));
    assert_non_null(strstr(verdict.findings[0].text, "+195 KiB"));
    looks[LOOKS - 1].live.allocated = looks[LOOKS - 1].live.resident + 150000; // Not touched.
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_int_equal(verdict.risers.count, 0);
    looks[LOOKS - 1].live.allocated = 0;
    set_slow_leak(blocks, 2000, true); // Less than counts.
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    set_slow_leak(blocks, 20000, false); // Its error is as large as itself.
    find();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    for (int i = 0; i < LOOKS; i++) {
        oh_stack_sums_fini(&looks[i].stacks);
    }
}

// Between two collections a heap grows by garbage: the goal of the collector stays.
static void test_a_growing_go_heap_is_explained(void **state)
{
    (void)state;
    const struct oh_gostats before = {.next_gc = 100 << 20};
    const struct oh_gostats after = {.next_gc = 200 << 20};
    set_steady(10, 0, 1, 0, 100, 5);
    find();
    oh_verdict_explain_go(&verdict, NULL, NULL);
    assert_non_null(strstr(finding_of(OH_FINDING_GO)->text, "garbage that is not collected yet"));
    find();
    oh_verdict_explain_go(&verdict, &before, &after);
    assert_non_null(strstr(finding_of(OH_FINDING_GO)->text,
                           "(NextGC) went from 100 MiB to 200 MiB: more is alive"));
    find();
    oh_verdict_explain_go(&verdict, &before, &before);
    assert_non_null(strstr(finding_of(OH_FINDING_GO)->text, "it is garbage so far"));
}

static void test_maps_and_stacks_grow(void **state)
{
    (void)state;
    set_steady(10, 0, 1, 0, 10, 0);
    for (int i = 0; i < LOOKS; i++) {
        looks[i].parts[OH_PART_MMAP] = (1 + i) * mib;
        looks[i].parts[OH_PART_STACKS] = (1 + 2 * i) * mib;
    }
    find();
    assert_int_equal(verdict.findings[0].part, OH_PART_STACKS);
    assert_int_equal(verdict.findings[1].kind, OH_FINDING_MAPS);
}

// Without a recording the areas of malloc are one part.
static void test_not_recorded(void **state)
{
    (void)state;
    for (int i = 0; i < LOOKS; i++) {
        looks[i].has_recording = false;
        looks[i].parts[OH_PART_HEAP] = (10 + i) * mib;
    }
    find();
    assert_int_equal(verdict.findings[0].part, OH_PART_HEAP);
    assert_non_null(strstr(verdict.findings[0].text, "not recorded"));
}

// A difference of estimates counts when it is twice its error: only blocks that are not in both
// looks add to that.
static void test_sampled_growth_needs_more_than_its_error(void **state)
{
    (void)state;
    struct oh_live_block older[] = {{.address = 16, .size = 1000, .weight = 500 << 16}};
    struct oh_live_block newer[] = {{.address = 16, .size = 1000, .weight = 500 << 16},
                                    {.address = 4096, .size = 1000, .weight = 500 << 16}};
    set_steady(10, 0.05, 1, 0, 10, 0);
    looks[0].is_exact = looks[LOOKS - 1].is_exact = false;
    looks[0].blocks = (struct oh_live){.blocks = older, .count = 1, .weight_shift = 16};
    looks[LOOKS - 1].blocks = (struct oh_live){.blocks = newer, .count = 2, .weight_shift = 16};
    find();
    assert_false(verdict.c_live_grows);
    set_steady(10, 1, 1, 0, 10, 0);
    find();
    assert_true(verdict.c_live_grows);
    assert_true(fabs(verdict.findings[0].error - 1000 * sqrt(500 * 499)) < 1);
    assert_non_null(strstr(verdict.findings[0].text, "±"));
}

static void test_one_look_says_so(void **state)
{
    (void)state;
    set_steady(10, 0, 500, 0, 10, 0);
    oh_verdict_find(looks, 1, &verdict);
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_ONE_LOOK);
    assert_non_null(finding_of(OH_FINDING_RETAINED));
    set_steady(10, 10, 1, 0, 10, 0);
    oh_verdict_find(looks, 2, &verdict);
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_ONE_LOOK);
    assert_non_null(strstr(verdict.findings[0].text, "two looks"));
    oh_verdict_find(looks, 3, &verdict);
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_C_LIVE);
}

static void test_every_kind_has_a_key(void **state)
{
    (void)state;
    for (int i = 0; i < OH_FINDING_KIND_COUNT; i++) {
        assert_non_null(oh_finding_key((enum oh_finding_kind)i));
    }
}

// --- GOMEMLIMIT ------------------------------------------------------------------------------------

static struct oh_cgroup group;

static void advise(double limit, double charge, double reclaimable, const struct oh_gostats *stats,
                   const char *set_limit, const char *gogc, struct oh_advice *advice)
{
    group = (struct oh_cgroup){.version = 2,
                               .limit = limit > 0 ? (uint64_t)(limit * mib) : OH_CGROUP_NO_LIMIT,
                               .high = OH_CGROUP_NO_LIMIT,
                               .current = (uint64_t)(charge * mib),
                               .reclaimable = (uint64_t)(reclaimable * mib)};
    const struct oh_advice_facts facts = {
        .look = &looks[0], .group = &group, .stats = stats, .gomemlimit = set_limit, .gogc = gogc};
    oh_advice_find(&facts, advice);
}

static void test_advice_is_the_limit_less_what_is_not_go(void **state)
{
    (void)state;
    struct oh_advice advice;
    set(0, 60, 10, 200);
    advise(1000, 400, 50, NULL, NULL, NULL, &advice);
    // 350 cannot be reclaimed, 150 of them are not Go's, 50 are to spare.
    assert_int_equal(advice.bytes, 800 << 20);
    assert_non_null(strstr(advice.text, "GOMEMLIMIT=800MiB"));
    assert_non_null(strstr(advice.text, "started without one"));
    advise(1000, 400, 50, NULL, "950MiB", "off", &advice);
    assert_non_null(strstr(advice.text, "too high"));
    assert_non_null(strstr(advice.text, "GOGC=off"));
    advise(1000, 400, 50, NULL, "800MiB", NULL, &advice);
    assert_non_null(strstr(advice.text, "about right"));
    advise(1000, 400, 50, NULL, "300MiB", NULL, &advice);
    assert_non_null(strstr(advice.text, "lower than it could be"));
    advise(1000, 400, 50, NULL, "100MiB", NULL, &advice); // It holds 200.
    assert_non_null(strstr(advice.text, "less than Go needs"));
    advise(1000, 400, 50, NULL, "1GiB", NULL, &advice);
    assert_non_null(strstr(advice.text, "too high"));
    advise(1000, 400, 50, NULL, "1G", NULL, &advice);
    assert_non_null(strstr(advice.text, "no size that Go takes"));
}

// memory.high slows a process down long before the limit kills it.
static void test_advice_keeps_below_memory_high(void **state)
{
    (void)state;
    struct oh_advice advice;
    set(0, 60, 10, 200);
    group = (struct oh_cgroup){.version = 2,
                               .limit = OH_CGROUP_NO_LIMIT,
                               .high = 1000 << 20,
                               .current = 400 << 20,
                               .reclaimable = 50 << 20};
    const struct oh_advice_facts facts = {.look = &looks[0], .group = &group};
    oh_advice_find(&facts, &advice);
    assert_int_equal(advice.bytes, 800 << 20);
    assert_non_null(strstr(advice.text, "1000 MiB (memory.high)"));
    group.version = 1; // A soft limit slows nothing down.
    oh_advice_find(&facts, &advice);
    assert_int_equal(advice.bytes, 0);
    assert_non_null(strstr(advice.text, "no memory limit"));
}

static void test_no_advice_to_a_go_that_does_not_know_it(void **state)
{
    (void)state;
    struct oh_advice advice;
    set(0, 60, 10, 200);
    looks[0].go_minor = 18;
    advise(1000, 400, 50, NULL, NULL, NULL, &advice);
    assert_int_equal(advice.bytes, 0);
    assert_non_null(strstr(advice.text, "Go 1.19 and later"));
    looks[0].go_minor = 19;
    advise(1000, 400, 50, NULL, NULL, NULL, &advice);
    assert_int_equal(advice.bytes, 800 << 20);
}

static void test_no_advice_where_none_makes_sense(void **state)
{
    (void)state;
    struct oh_advice advice;
    const struct oh_gostats stats = {.heap_alloc = 300 << 20};
    set(0, 60, 10, 200);
    advise(0, 400, 50, NULL, NULL, "off", &advice);
    assert_int_equal(advice.bytes, 0);
    assert_non_null(strstr(advice.text, "no memory limit"));
    assert_non_null(strstr(advice.text, "GOGC=off"));
    advise(420, 400, 50, &stats, NULL, NULL, &advice);
    assert_int_equal(advice.bytes, 0);
    assert_non_null(strstr(advice.text, "no GOMEMLIMIT helps"));
    looks[0].is_go = false;
    advise(1000, 400, 50, NULL, NULL, NULL, &advice);
    assert_string_equal(advice.text, "");
}

static void test_limits_as_go_reads_them(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_int_equal(oh_advice_parse_limit("64MiB", &bytes), 0);
    assert_int_equal(bytes, 64 << 20);
    assert_int_equal(oh_advice_parse_limit("1500", &bytes), 0);
    assert_int_equal(bytes, 1500);
    assert_int_equal(oh_advice_parse_limit("off", &bytes), 0);
    assert_true(bytes == UINT64_MAX);
    static const char *const wrong[] = {
        "", "1G", "64 MiB", "-1", "99999999999999999999", "1.5GiB", "99999999TiB"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(oh_advice_parse_limit(wrong[i], &bytes), -EINVAL);
    }
}

static void test_durations(void **state)
{
    (void)state;
    uint64_t ns = 0;
    assert_int_equal(oh_watch_parse_duration("30s", &ns), 0);
    assert_int_equal(ns, 30000000000u);
    assert_int_equal(oh_watch_parse_duration("2", &ns), 0);
    assert_int_equal(ns, 2000000000u);
    assert_int_equal(oh_watch_parse_duration("5m", &ns), 0);
    assert_int_equal(ns, 300000000000u);
    assert_int_equal(oh_watch_parse_duration("1h", &ns), 0);
    static const char *const wrong[] = {"", "s", "-5s", "5d", "1.5s", " 5s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(oh_watch_parse_duration(wrong[i], &ns), -EINVAL);
    }
    assert_int_equal(oh_watch_parse_duration("0s", &ns), -ERANGE);
    assert_int_equal(oh_watch_parse_duration("169h", &ns), -ERANGE);
    assert_int_equal(oh_watch_parse_duration("99999999999999999999s", &ns), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_grows, setup),
        cmocka_unit_test_setup(test_a_leak_is_c_live, setup),
        cmocka_unit_test_setup(test_retention_is_no_leak, setup),
        cmocka_unit_test_setup(test_a_little_retention_is_not_worth_a_word, setup),
        cmocka_unit_test_setup(test_retention_that_grows_is_told, setup),
        cmocka_unit_test_setup(test_a_leak_under_retention, setup),
        cmocka_unit_test_setup(test_go_beside_a_small_leak, setup),
        cmocka_unit_test_setup(test_sampled_retention_that_grows_may_be_tiny_blocks, setup),
        cmocka_unit_test_setup(test_waves_are_no_growth, setup),
        cmocka_unit_test_setup(test_a_step_and_a_warm_up_level_off, setup),
        cmocka_unit_test_setup(test_untouched_and_swapped_leaks, setup),
        cmocka_unit_test_setup(test_the_whole_grows_though_no_part_does, setup),
        cmocka_unit_test_setup(test_tiny_blocks_are_told_with_what_they_take, setup),
        cmocka_unit_test_setup(test_a_slow_leak_under_waves, setup),
        cmocka_unit_test_setup(test_a_growing_go_heap_is_explained, setup),
        cmocka_unit_test_setup(test_maps_and_stacks_grow, setup),
        cmocka_unit_test_setup(test_not_recorded, setup),
        cmocka_unit_test_setup(test_sampled_growth_needs_more_than_its_error, setup),
        cmocka_unit_test_setup(test_one_look_says_so, setup),
        cmocka_unit_test(test_every_kind_has_a_key),
        cmocka_unit_test_setup(test_advice_is_the_limit_less_what_is_not_go, setup),
        cmocka_unit_test_setup(test_advice_keeps_below_memory_high, setup),
        cmocka_unit_test_setup(test_no_advice_to_a_go_that_does_not_know_it, setup),
        cmocka_unit_test_setup(test_no_advice_where_none_makes_sense, setup),
        cmocka_unit_test(test_limits_as_go_reads_them),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
