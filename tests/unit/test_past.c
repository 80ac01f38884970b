// SPDX-License-Identifier: Apache-2.0
//
// What a time line says of a process that is gone: each case is told from its opposite.

#include "memory/past.h"

#include <string.h>

#include "support/cmocka.h"

enum { SECONDS = 60, PAST = 6 };

static const double mib = 1 << 20;
static struct oh_timeline timeline;
static struct oh_past past;
static struct oh_verdict verdict;

static int setup(void **state)
{
    (void)state;
    memset(&timeline, 0, sizeof timeline);
    past =
        (struct oh_past){.timeline = &timeline, .past_s = PAST, .end_s = SECONDS, .is_exact = true};
    return 0;
}

// A step a second; at second t it holds what begins and grows each second by so much, in MiB.
static void set_steps(double live, double live_step, double maps, double maps_step, double rest,
                      double rest_step)
{
    timeline.count = SECONDS;
    for (uint32_t t = 0; t < SECONDS; t++) {
        struct oh_format_step *const step = &timeline.steps[t];
        const double live_now = live + t * live_step;
        const double maps_now = maps + t * maps_step;
        step->time_ns = (t + 1) * 1000000000ull;
        step->inuse_bytes[OH_KIND_MALLOC] = (uint64_t)(live_now * mib);
        step->inuse_bytes[OH_KIND_MMAP] = (uint64_t)(maps_now * mib);
        step->resident_bytes = (uint64_t)((live_now + maps_now + rest + t * rest_step) * mib);
        if (t + 1 == PAST) {
            past.before[OH_KIND_MALLOC] = live_now * mib;
            past.before[OH_KIND_MMAP] = maps_now * mib;
        }
        past.held[OH_KIND_MALLOC].bytes = live_now * mib;
        past.held[OH_KIND_MMAP].bytes = maps_now * mib;
    }
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

static void judge(void)
{
    oh_past_judge(&past, &verdict);
}

static void assert_only(enum oh_finding_kind kind, const char *text)
{
    judge();
    assert_int_equal(verdict.count, 1);
    assert_int_equal(verdict.findings[0].kind, kind);
    if (strstr(verdict.findings[0].text, text) == NULL) {
        print_error("%s\n", verdict.findings[0].text);
        fail();
    }
}

static void test_leak_of_malloc_is_c_live(void **state)
{
    (void)state;
    set_steps(10, 1, 5, 0, 20, 0);
    assert_only(OH_FINDING_C_LIVE, "growing: C live, +54.0 MiB in 54 s (3.52 GiB an hour)");
    assert_true(verdict.c_live_grows);
}

static void test_leak_of_maps_is_maps(void **state)
{
    (void)state;
    set_steps(10, 0, 5, 1, 20, 0);
    assert_only(OH_FINDING_MAPS, "growing: maps that C code made, +54.0 MiB");
    assert_false(verdict.c_live_grows);
}

static void test_growth_that_c_does_not_account_for_is_gos_or_the_allocators(void **state)
{
    (void)state;
    set_steps(10, 0, 5, 0, 20, 1);
    assert_only(OH_FINDING_OTHER, "growing: the resident size beyond C live and C's maps: what");
    past.is_go = true;
    assert_only(
        OH_FINDING_GO,
        "Go's heap, or what the allocator keeps, files, memory that is touched late, +54.0 MiB");
    assert_non_null(strstr(verdict.findings[0].text, "; the Go runtime mapped nothing more"));
    timeline.steps[SECONDS - 1].inuse_bytes[OH_KIND_GO_RUNTIME] = (uint64_t)(64 * mib);
    assert_only(OH_FINDING_GO, "; the Go runtime mapped 64.0 MiB more meanwhile");
}

static void test_what_the_allocator_adds_to_a_leak_is_no_growth_of_its_own(void **state)
{
    (void)state;
    set_steps(10, 1, 5, 0, 20, 0.21); // A fifth of the leak is the allocator's, and 1 MiB noise.
    assert_only(OH_FINDING_C_LIVE, "growing: C live, +54.0 MiB in 54 s (3.52 GiB an hour)");
}

static void test_old_memory_that_is_touched_now_is_not_gos_nor_the_allocators(void **state)
{
    (void)state;
    past.is_go = true;
    set_steps(500, 0, 5, 0, -480, 1);
    assert_only(OH_FINDING_OTHER, "growing: the resident size, but not what C has allocated: of");
    assert_null(strstr(verdict.findings[0].text, "heap"));
    assert_null(strstr(verdict.findings[0].text, "allocator"));
}

static void test_small_leak_beside_gos_growth_is_told_second(void **state)
{
    (void)state;
    past.is_go = true;
    set_steps(10, 0.2, 5, 0, 20, 5);
    judge();
    assert_int_equal(verdict.count, 2);
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_GO);
    assert_int_equal(verdict.findings[1].kind, OH_FINDING_C_LIVE);
}

static void test_leak_that_the_resident_size_hides_is_told_so(void **state)
{
    (void)state;
    set_steps(10, 1, 5, 0, 100, -1);
    judge();
    const struct oh_finding *const finding = finding_of(OH_FINDING_C_LIVE);
    assert_non_null(finding);
    assert_non_null(strstr(finding->text, "the resident size did not show it"));
}

static void test_steady_process_does_not_grow(void **state)
{
    (void)state;
    set_steps(10, 0, 5, 0, 20, 0);
    assert_only(OH_FINDING_NOT_GROWING, "not growing: neither C live nor C's maps rose");
}

static void test_waves_do_not_grow(void **state)
{
    (void)state;
    set_steps(100, 0, 5, 0, 20, 0);
    for (uint32_t t = 0; t < SECONDS; t++) {
        const uint64_t wave = (uint64_t)((t * 7 % 5) * 10 * mib);
        timeline.steps[t].inuse_bytes[OH_KIND_MALLOC] += wave;
        timeline.steps[t].resident_bytes += wave;
    }
    past.held[OH_KIND_MALLOC].bytes += 20 * mib;
    judge();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_null(finding_of(OH_FINDING_C_LIVE));
}

static void test_warm_up_levels_off(void **state)
{
    (void)state;
    set_steps(10, 0, 5, 0, 20, 0);
    for (uint32_t t = 15; t < SECONDS; t++) {
        timeline.steps[t].inuse_bytes[OH_KIND_MALLOC] += (uint64_t)(50 * mib);
        timeline.steps[t].resident_bytes += (uint64_t)(50 * mib);
    }
    past.held[OH_KIND_MALLOC].bytes += 50 * mib;
    judge();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    assert_non_null(finding_of(OH_FINDING_LEVELS));
}

// A process that fails within a second leaves no step of it.
static void test_burst_after_the_last_step_is_told(void **state)
{
    (void)state;
    set_steps(10, 0, 5, 0, 20, 0);
    past.held[OH_KIND_MALLOC].bytes = 900 * mib;
    judge();
    assert_int_equal(verdict.findings[0].kind, OH_FINDING_NOT_GROWING);
    const struct oh_finding *const finding = finding_of(OH_FINDING_BURST);
    assert_non_null(finding);
    assert_non_null(strstr(finding->text, "C live was 890 MiB more than at any time"));
}

static void test_growth_within_the_error_of_samples_is_none(void **state)
{
    (void)state;
    past.is_exact = false;
    past.error = past.past_error = 30 * mib;
    set_steps(10, 1, 5, 0, 20, 0);
    assert_only(OH_FINDING_NOT_GROWING, "of C live, less than 60.0 MiB would not show");
    past.error = past.past_error = 10 * mib;
    assert_only(OH_FINDING_C_LIVE, "+54.0 MiB ±10.0 MiB in 54 s");
}

static void test_numbers_that_are_absent_are_not_judged(void **state)
{
    (void)state;
    set_steps(10, 1, 5, 1, 20, 5);
    for (uint32_t t = 0; t < SECONDS; t++) {
        timeline.steps[t].inuse_bytes[OH_KIND_MMAP] = OH_FORMAT_STEP_ABSENT;
        timeline.steps[t].resident_bytes = OH_FORMAT_STEP_ABSENT;
    }
    assert_only(OH_FINDING_C_LIVE, "growing: C live");
    set_steps(10, 0, 5, 1, 20, 5);
    for (uint32_t t = 0; t < SECONDS; t++) {
        timeline.steps[t].inuse_bytes[OH_KIND_SHM] = OH_FORMAT_STEP_ABSENT;
        timeline.steps[t].resident_bytes = OH_FORMAT_STEP_ABSENT;
    }
    assert_only(OH_FINDING_NOT_GROWING, "not growing");
    assert_null(strstr(verdict.findings[0].text, "resident size"));
}

// What stands for the silent time is the step before it.
static void test_leak_before_and_after_a_gap_grows(void **state)
{
    (void)state;
    set_steps(10, 1, 5, 0, 20, 0);
    for (uint32_t t = 20; t < SECONDS; t++) {
        timeline.steps[t].time_ns += 60 * 1000000000ull;
    }
    past.end_s = SECONDS + 60;
    judge();
    assert_non_null(finding_of(OH_FINDING_C_LIVE));
}

// The stacks of a young process may remember little of its life; the steps do.
static void test_growth_is_judged_from_the_longer_time(void **state)
{
    (void)state;
    set_steps(10, 1, 5, 0, 20, 0);
    past.past_s = 54;
    assert_only(OH_FINDING_C_LIVE, "growing: C live, +54.0 MiB in 54 s");
    assert_int_equal(past.judged_s, PAST);
}

static void test_leak_that_began_late_is_growth(void **state)
{
    (void)state;
    set_steps(10, 0, 5, 0, 20, 0);
    past.past_s = 49;
    for (uint32_t t = 50; t < SECONDS; t++) {
        timeline.steps[t].inuse_bytes[OH_KIND_MALLOC] += (uint64_t)((t - 49) * mib);
        timeline.steps[t].resident_bytes += (uint64_t)((t - 49) * mib);
    }
    past.held[OH_KIND_MALLOC].bytes += 10 * mib;
    assert_only(OH_FINDING_C_LIVE, "growing: C live, +10.0 MiB in 11 s");
    assert_int_equal(past.judged_s, 49);
}

static void test_young_recording_is_not_judged(void **state)
{
    (void)state;
    assert_only(OH_FINDING_ONE_LOOK, "what grew cannot be told");
    set_steps(10, 1, 5, 0, 20, 0);
    past.past_s = 0;
    assert_only(OH_FINDING_ONE_LOOK, "too young");
    past.past_s = 1;
    timeline.count = 1;
    assert_only(OH_FINDING_ONE_LOOK, "too young");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_leak_of_malloc_is_c_live, setup),
        cmocka_unit_test_setup(test_leak_of_maps_is_maps, setup),
        cmocka_unit_test_setup(test_growth_that_c_does_not_account_for_is_gos_or_the_allocators,
                               setup),
        cmocka_unit_test_setup(test_what_the_allocator_adds_to_a_leak_is_no_growth_of_its_own,
                               setup),
        cmocka_unit_test_setup(test_old_memory_that_is_touched_now_is_not_gos_nor_the_allocators,
                               setup),
        cmocka_unit_test_setup(test_small_leak_beside_gos_growth_is_told_second, setup),
        cmocka_unit_test_setup(test_leak_that_the_resident_size_hides_is_told_so, setup),
        cmocka_unit_test_setup(test_steady_process_does_not_grow, setup),
        cmocka_unit_test_setup(test_waves_do_not_grow, setup),
        cmocka_unit_test_setup(test_warm_up_levels_off, setup),
        cmocka_unit_test_setup(test_burst_after_the_last_step_is_told, setup),
        cmocka_unit_test_setup(test_growth_within_the_error_of_samples_is_none, setup),
        cmocka_unit_test_setup(test_numbers_that_are_absent_are_not_judged, setup),
        cmocka_unit_test_setup(test_leak_before_and_after_a_gap_grows, setup),
        cmocka_unit_test_setup(test_growth_is_judged_from_the_longer_time, setup),
        cmocka_unit_test_setup(test_leak_that_began_late_is_growth, setup),
        cmocka_unit_test_setup(test_young_recording_is_not_judged, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
