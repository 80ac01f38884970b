// SPDX-License-Identifier: Apache-2.0
//
// The controller on a clock of the test's own: a process that allocates so many bytes in a
// millisecond, of which each sample takes so long.

#include "capture/budget.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/thread.h"
#include "capture/sampler.h"
#include "offheap/percent.h"
#include "support/cmocka.h"
#include "support/random.h"

static const uint64_t ms = 1000 * 1000;
static const uint64_t usual_mean = UINT64_C(512) << 10;

static struct {
    uint64_t now_ns;
    uint64_t processor_ns;
    uint64_t processor_reads;
    struct oh_format_header header;
    struct oh_random random;
    // Of the process: bytes a millisecond of one processor, the time of a sample, and the part of
    // the time that it runs.
    double bytes_per_ms;
    uint64_t sample_ns;
    double busy;
    double carried; // Samples that are due.
} world;

static uint64_t fake_now(void)
{
    return world.now_ns;
}

static uint64_t fake_processor(void)
{
    world.processor_reads++;
    return world.processor_ns;
}

static void begin_world(uint32_t ppm, uint64_t first)
{
    static const struct oh_budget_clocks clocks = {fake_now, fake_processor};
    memset(&world, 0, sizeof world);
    world.now_ns = 5 * ms;
    world.processor_ns = 3 * ms;
    world.random.state = 42;
    world.header.sample_bytes = first;
    world.header.weight_shift = 16;
    world.header.budget.ppm = ppm;
    world.busy = 1;
    world.sample_ns = 700;
    oh_budget_init(&world.header, &clocks);
}

static uint64_t mean_now(void)
{
    return world.header.means[world.header.budget.mean];
}

static void take_sample(void)
{
    // Between half and one and a half of the time, and now and then a page fault.
    uint64_t took = world.sample_ns / 2 + oh_random_below(&world.random, world.sample_ns);
    if (oh_random_below(&world.random, 1000) == 0)
        took += 20000;
    uint64_t began = oh_budget_begin();
    world.now_ns += took;
    world.processor_ns += took;
    oh_budget_end(began);
}

static void live_ms(int count)
{
    for (; count > 0; count--) {
        world.carried += world.busy * world.bytes_per_ms / (double)mean_now();
        for (; world.carried >= 1; world.carried--)
            take_sample();
        world.now_ns += ms;
        world.processor_ns += (uint64_t)(world.busy * (double)ms);
    }
}

// The share that samples take now, flat time included, as a process of this rate would have it for
// ever: no noise.
static double true_share(void)
{
    double samples = world.bytes_per_ms / (double)mean_now();
    return samples * ((double)world.sample_ns + 120) / (double)ms;
}

static double told_share(void)
{
    return (double)world.header.budget.spent_ns / (double)world.header.budget.cpu_ns;
}

static void test_ladder_holds_the_first_mean_and_rises_by_half_octaves(void **state)
{
    (void)state;
    const uint64_t firsts[] = {64, 1000, 65536, 100000, 524288, UINT64_C(1) << 30};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        uint64_t means[OH_FORMAT_MEANS];
        uint32_t place = oh_budget_make_ladder(firsts[i], means);
        assert_true(means[place] == firsts[i]);
        assert_true(means[0] <= 65536 * 1.42 && (firsts[i] <= 65536 || means[0] >= 65536 * 0.99));
        for (int n = 1; n < OH_FORMAT_MEANS; n++)
            assert_true(fabs((double)means[n] / (double)means[n - 1] - sqrt(2)) < 0.02);
    }
    uint64_t means[OH_FORMAT_MEANS];
    assert_int_equal(oh_budget_make_ladder(usual_mean, means), 6);
    assert_true(means[0] == 65536);
    assert_int_equal(oh_budget_make_ladder(1, means), 0);
    assert_true(means[0] == 64);
}

static void test_load_over_the_budget_raises_the_mean_within_a_second(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    // when: a mean of 512 KiB would take 14 %
    world.bytes_per_ms = 90e6;
    assert_true(true_share() > 0.1);
    live_ms(400);
    // then
    assert_true(true_share() < 0.01);
    assert_true(true_share() > 0.002);
    assert_true(mean_now() > usual_mean);
    // and what was used too much at first is made up for
    live_ms(20000);
    assert_true(told_share() < 0.01);
    assert_true(told_share() > 0.0055);
}

static void test_room_lowers_the_mean(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, UINT64_C(16) << 20);
    world.bytes_per_ms = 2e6;
    assert_true(true_share() < 0.001);
    live_ms(20000);
    assert_true(true_share() > 0.005 && true_share() < 0.01);
}

static void test_mean_stays_within_the_ladder(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    world.bytes_per_ms = 5e3;
    live_ms(60000);
    assert_int_equal(world.header.budget.mean, 0);
    assert_int_equal(world.header.budget.finest, 0);
    world.bytes_per_ms = 1e12;
    world.sample_ns = 5000;
    live_ms(300);
    assert_int_equal(world.header.budget.mean, OH_FORMAT_MEANS - 1);
    assert_int_equal(world.header.budget.coarsest, OH_FORMAT_MEANS - 1);
}

// Whatever the load is: once it is constant, the mean comes to rest, also with noise.
static void test_constant_load_comes_to_rest(void **state)
{
    (void)state;
    for (double rate = 3e6; rate < 3e9; rate *= 1.07) {
        begin_world(OH_PERCENT_PPM, usual_mean);
        world.bytes_per_ms = rate;
        live_ms(30000); // The greatest begins with a debt of ten seconds.
        uint32_t changes = world.header.budget.changes;
        live_ms(10000);
        // A load that lies on a threshold may cross it once.
        assert_in_range(world.header.budget.changes - changes, 0, 1);
        assert_true(told_share() < 0.0101);
    }
}

// Over many loads and budgets, so that a gap between the thresholds that is too narrow would show.
static void test_small_budgets_are_kept(void **state)
{
    (void)state;
    const uint32_t budgets[] = {500, 2500, 5000, 30000, 100000};
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        begin_world(budgets[i], usual_mean);
        world.bytes_per_ms = 40e6;
        live_ms(60000);
        assert_true(told_share() < budgets[i] / 1e6);
        assert_true(true_share() > 0.4 * budgets[i] / 1e6 || world.header.budget.mean == 0);
        assert_in_range(world.header.budget.changes, 1, 20);
    }
}

static void test_bursts_do_not_make_the_mean_swing(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    // when: ten times, a burst of three seconds, ten of calm
    for (int i = 0; i < 10; i++) {
        uint32_t changes = world.header.budget.changes;
        world.bytes_per_ms = 200e6;
        live_ms(1000);
        assert_true(true_share() < 0.01);
        live_ms(2000);
        world.bytes_per_ms = 1e6;
        live_ms(10000);
        // then: up in a few steps, down rung by rung
        assert_in_range(world.header.budget.changes - changes, 2, 24);
    }
    assert_true(told_share() < 0.01);
}

static void test_process_that_hardly_runs_is_judged_by_its_own_time(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    world.busy = 0.02;
    world.bytes_per_ms = 90e6;
    live_ms(20000);
    assert_true(true_share() < 0.01 && true_share() > 0.002);
}

static void test_steps_are_rare_and_an_idle_process_makes_none(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    world.bytes_per_ms = 20e6;
    uint64_t reads = world.processor_reads;
    live_ms(10000);
    assert_in_range(world.processor_reads - reads, 50, 100);
    // when
    struct oh_format_header before = world.header;
    world.bytes_per_ms = 0;
    reads = world.processor_reads;
    live_ms(100000);
    // then
    assert_int_equal(world.processor_reads, reads);
    assert_memory_equal(&before, &world.header, sizeof before);
}

static void test_burst_is_answered_before_its_step(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, UINT64_C(64) << 10);
    // when: ten times the budget
    world.bytes_per_ms = 8e6;
    assert_true(true_share() > 0.1);
    live_ms(60);
    // then
    assert_int_equal(world.header.budget.changes, 1);
    assert_true(world.header.budget.spent_ns < 5 * ms);
    assert_true(true_share() < 0.01);
}

static void test_one_event_never_counts_more_than_fifty_microseconds(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    for (int i = 0; i < 20; i++) {
        uint64_t began = oh_budget_begin();
        world.now_ns += 50 * ms; // Another process had the processor.
        world.processor_ns += 10 * ms;
        oh_budget_end(began);
    }
    assert_in_range(world.header.budget.spent_ns, 1, 20 * 51000);
    // A clock that went back counts nothing but the flat time.
    uint64_t spent = world.header.budget.spent_ns;
    world.now_ns += 1000 * ms;
    world.processor_ns += 1000 * ms;
    oh_budget_end(world.now_ns + ms);
    assert_in_range(world.header.budget.spent_ns - spent, 0, 51000);
}

static void test_visits_and_frees_are_counted(void **state)
{
    (void)state;
    enum { FREES = 160000, VISITS = 10000, THREADS = FREES / 5 };
    static struct oh_thread threads[THREADS];
    begin_world(OH_PERCENT_PPM, usual_mean);
    // when: each free takes 150 ns, and a thread makes a few only
    for (uint64_t i = 0; i < FREES; i++) {
        uint64_t began = oh_budget_begin_free(&threads[i / 5 % THREADS]);
        world.now_ns += 150;
        oh_budget_end_free(began, i % 2 == 0);
    }
    for (int i = 0; i < VISITS; i++)
        oh_budget_visit();
    world.now_ns += 200 * ms;
    world.processor_ns += 200 * ms;
    oh_budget_visit();
    // then
    double spent = (double)world.header.budget.spent_ns;
    assert_true(fabs(spent / (FREES * 170.0 + VISITS * 100.0) - 1) < 0.05);
}

// The processor goes from one process to the next, and two samples are put to sleep: hardly any
// time was used meanwhile, which is no burst.
static void test_samples_put_to_sleep_on_a_busy_machine_are_no_burst(void **state)
{
    (void)state;
    begin_world(OH_PERCENT_PPM, usual_mean);
    for (int i = 0; i < 2; i++) {
        uint64_t began = oh_budget_begin();
        world.now_ns += 150 * ms;
        world.processor_ns += ms;
        oh_budget_end(began);
    }
    assert_int_equal(world.header.budget.changes, 0);
}

// Looks in vain cost what they cost under any mean: they must not drive it up without end.
static void test_what_does_not_follow_the_mean_does_not_drive_it(void **state)
{
    (void)state;
    struct oh_thread thread = {0};
    begin_world(OH_PERCENT_PPM, usual_mean);
    world.bytes_per_ms = 10e6;
    for (int i = 0; i < 20000; i++) {
        live_ms(1);
        // 1.2 % of the time.
        for (uint64_t look = 0; look < 100; look++) {
            uint64_t began = oh_budget_begin_free(&thread);
            world.now_ns += 100;
            oh_budget_end_free(began, false);
        }
    }
    assert_true(true_share() > 0.01 / 4 * 0.3 && true_share() < 0.01 / 4);
    assert_in_range(world.header.budget.changes, 1, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ladder_holds_the_first_mean_and_rises_by_half_octaves),
        cmocka_unit_test(test_load_over_the_budget_raises_the_mean_within_a_second),
        cmocka_unit_test(test_room_lowers_the_mean),
        cmocka_unit_test(test_mean_stays_within_the_ladder),
        cmocka_unit_test(test_constant_load_comes_to_rest),
        cmocka_unit_test(test_small_budgets_are_kept),
        cmocka_unit_test(test_bursts_do_not_make_the_mean_swing),
        cmocka_unit_test(test_process_that_hardly_runs_is_judged_by_its_own_time),
        cmocka_unit_test(test_steps_are_rare_and_an_idle_process_makes_none),
        cmocka_unit_test(test_burst_is_answered_before_its_step),
        cmocka_unit_test(test_one_event_never_counts_more_than_fifty_microseconds),
        cmocka_unit_test(test_visits_and_frees_are_counted),
        cmocka_unit_test(test_samples_put_to_sleep_on_a_busy_machine_are_no_burst),
        cmocka_unit_test(test_what_does_not_follow_the_mean_does_not_drive_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
