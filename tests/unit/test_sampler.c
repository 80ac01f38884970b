// SPDX-License-Identifier: Apache-2.0
//
// The sampler's seed is the process's: what is random here differs between runs, and every bound
// is five standard errors or more, so that a sound sampler fails once in a million runs.

#include "capture/sampler.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "base/logarithm.h"
#include "capture/budget.h"
#include "offheap/hash.h"
#include "offheap/weight.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"

enum { SHIFT = 16 };

static const uint64_t usual_mean = UINT64_C(512) << 10;

// What the hooks do before they ask the sampler.
static uint64_t allocate_under(struct oh_thread *thread, uint64_t size, uint32_t *mean)
{
    if (size < thread->countdown) {
        thread->countdown -= size;
        return 0;
    }
    return oh_sampler_decide(thread, size, mean);
}

static uint64_t allocate(struct oh_thread *thread, uint64_t size)
{
    uint32_t mean;
    return allocate_under(thread, size, &mean);
}

static double weight_of(uint64_t units)
{
    return (double)units / (1 << SHIFT);
}

static void test_minus_log_agrees_with_libm(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 1; i <= 1000000; i++) {
        double u = i * 1e-6;
        double exact = -log(u);
        double error = fabs(oh_logarithm_minus(u) - exact);
        if (exact > 0 && error / exact > worst)
            worst = error / exact;
    }
    for (double u = 1; u >= 0x1p-53; u /= 1.01) {
        double exact = -log(u);
        double error = fabs(oh_logarithm_minus(u) - exact);
        if (exact > 0 && error / exact > worst)
            worst = error / exact;
    }
    assert_true(worst < 1e-12);
    assert_true(oh_logarithm_minus(1) == 0);
    assert_true(oh_logarithm_minus(0x1p-53) > 36.7);
}

static void test_one_minus_exp_agrees_with_libm(void **state)
{
    (void)state;
    double worst = 0;
    for (double x = 1e-12; x < 700; x *= 1.003) {
        double exact = -expm1(-x);
        double error = fabs(oh_weight_one_minus_exp(x) - exact) / exact;
        if (error > worst)
            worst = error;
    }
    assert_true(worst < 1e-12);
    assert_true(oh_weight_one_minus_exp(0) == 0);
    assert_true(oh_weight_one_minus_exp(1e300) == 1);
}

static void test_mean_of_a_weight_is_the_mean_that_gives_it(void **state)
{
    (void)state;
    const uint64_t means[] = {2, 4096, 524288, UINT64_C(3) << 30};
    for (size_t i = 0; i < sizeof means / sizeof means[0]; i++) {
        double mean = (double)means[i];
        for (double size = 1; size < 20 * mean; size = ceil(size * 1.7)) {
            double found = oh_logarithm_mean(size, oh_weight_objects((uint64_t)size, means[i]));
            // Digits are lost where the weight is near 1, and where it is very large.
            assert_true(fabs(found / mean - 1) < 2e-15 * exp(size / mean) + 1e-6);
        }
    }
    assert_true(oh_logarithm_mean(100, 1) == 0);
    assert_true(oh_logarithm_mean(0, 5) == 0);
}

static void test_weight_is_the_reciprocal_of_the_probability(void **state)
{
    (void)state;
    const uint64_t sizes[] = {1, 8, 64, 1000, 524288, 5 << 20, UINT64_C(1) << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double p = -expm1(-(double)sizes[i] / (double)usual_mean);
        assert_true(fabs(oh_weight_objects(sizes[i], usual_mean) * p - 1) < 1e-12);
        assert_true(oh_weight_objects(sizes[i], 1) == 1);
    }
}

static void test_decide_in_exact_mode_takes_everything_once(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0, 1, 100, UINT64_MAX};
    struct oh_thread thread = {0};
    oh_sampler_init(1, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(allocate(&thread, sizes[i]) == 1);
        assert_true(thread.countdown == 0);
    }
}

// The distribution of the first countdown: P(countdown <= n) = 1 - exp(-n/R), for every n at once
// (Kolmogorov-Smirnov: 1.95/sqrt(N) is exceeded once in a thousand, 2.6 once in a million).
static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double largest_gap(uint64_t *draws, size_t count, double mean)
{
    double gap = 0;
    qsort(draws, count, sizeof *draws, compare);
    for (size_t i = 0; i < count; i++) {
        double wanted = -expm1(-(double)draws[i] / mean);
        double before = -expm1(-(double)(draws[i] - 1) / mean);
        gap = fmax(gap, fmax(before - (double)(i + 1) / (double)count,
                             (double)i / (double)count - wanted));
    }
    return gap;
}

static void test_countdown_of_a_new_thread_is_geometric(void **state)
{
    (void)state;
    enum { THREADS = 40000 };
    static uint64_t draws[THREADS];
    oh_sampler_init(usual_mean, SHIFT);
    for (int i = 0; i < THREADS; i++) {
        struct oh_thread thread = {0};
        assert_int_equal(allocate(&thread, 0), 0);
        assert_true(thread.countdown >= 1);
        draws[i] = thread.countdown;
    }
    assert_true(largest_gap(draws, THREADS, (double)usual_mean) < 2.6 / sqrt(THREADS));
}

// What is left of a countdown after many allocations that passed is distributed like a new one.
static void test_residual_of_a_countdown_has_no_memory(void **state)
{
    (void)state;
    enum { THREADS = 40000, PASSES = 100, SIZE = 4096 };
    static uint64_t draws[THREADS];
    size_t count = 0;
    oh_sampler_init(usual_mean, SHIFT);
    for (int i = 0; i < THREADS; i++) {
        struct oh_thread thread = {0};
        int taken = 0;
        for (int n = 0; n < PASSES; n++)
            taken += allocate(&thread, SIZE) != 0;
        if (taken == 0)
            draws[count++] = thread.countdown;
    }
    assert_in_range(count, THREADS * 0.4, THREADS * 0.5); // exp(-100 * 4096 / 524288) = 0.458
    assert_true(largest_gap(draws, count, (double)usual_mean) < 2.6 / sqrt((double)count));
}

// The same when the mean changes: at a chunk's end, at the latest, the countdown is one of the mean
// of then. (Two means and one chunk at most are allocated from here to there.)
static void test_countdown_after_a_change_is_that_of_the_new_mean(void **state)
{
    (void)state;
    enum { THREADS = 40000, PLACE = 12, SIZE = 4096 };
    static uint64_t draws[THREADS];
    uint64_t means[OH_FORMAT_MEANS];
    uint32_t first = oh_budget_make_ladder(usual_mean, means);
    oh_sampler_init_ladder(means, first, SHIFT);
    for (int i = 0; i < THREADS; i++) {
        struct oh_thread thread = {0};
        oh_sampler_set_mean(first);
        (void)allocate(&thread, 1);
        oh_sampler_set_mean(PLACE);
        for (uint64_t bytes = 0; bytes < 2 * usual_mean + SIZE; bytes += SIZE)
            (void)allocate(&thread, SIZE);
        assert_int_equal(thread.mean, PLACE);
        // Of the chunk that it is in now: what is left before its end, when a point is.
        draws[i] = thread.slack == 0 ? UINT64_MAX : thread.countdown;
    }
    qsort(draws, THREADS, sizeof draws[0], compare);
    // then: the first million bytes, which no chunk's end has cut
    for (uint64_t bytes = 10000; bytes <= 1000000; bytes += 10000) {
        size_t below = 0;
        while (below < THREADS && draws[below] <= bytes)
            below++;
        double p = -expm1(-(double)bytes / (double)means[PLACE]);
        assert_true(fabs((double)below / THREADS - p) < 2.6 / sqrt(THREADS));
    }
}

struct estimate {
    double objects;
    double bytes;
    double objects_variance;
};

// One thread's allocations of a mixture of sizes, as a run of a program would make them.
static struct estimate run(const uint64_t *sizes, size_t kinds, int rounds)
{
    struct oh_thread thread = {0};
    struct estimate estimate = {0};
    for (int round = 0; round < rounds; round++) {
        for (size_t kind = 0; kind < kinds; kind++) {
            uint64_t units = allocate(&thread, sizes[kind]);
            double w = weight_of(units);
            if (units == 0)
                continue;
            estimate.objects += w;
            estimate.bytes += (double)oh_weighted_bytes(sizes[kind], units, SHIFT);
            estimate.objects_variance += w * (w - 1);
        }
    }
    return estimate;
}

static void test_estimates_over_many_runs_are_unbiased(void **state)
{
    (void)state;
    enum { RUNS = 4000, ROUNDS = 200 };
    static const uint64_t sizes[] = {700, 4096, 100000, 3 << 20, 2000};
    const size_t kinds = sizeof sizes / sizeof sizes[0];
    double objects = 0, bytes = 0, variance = 0, squares = 0, wanted_variance = 0, wanted_bytes = 0;
    oh_sampler_init(usual_mean, SHIFT);
    // when
    for (int i = 0; i < RUNS; i++) {
        struct estimate e = run(sizes, kinds, ROUNDS);
        double off = e.objects - (double)(ROUNDS * kinds);
        objects += e.objects / RUNS;
        bytes += e.bytes / RUNS;
        variance += e.objects_variance / RUNS;
        squares += off * off / RUNS;
    }
    // then
    double bytes_variance = 0;
    for (size_t kind = 0; kind < kinds; kind++) {
        double n = (double)sizes[kind], w = oh_weight_objects(sizes[kind], usual_mean);
        wanted_variance += ROUNDS * (w - 1);
        bytes_variance += ROUNDS * n * n * (w - 1);
        wanted_bytes += ROUNDS * n;
    }
    assert_true(fabs(objects - ROUNDS * (double)kinds) < 5 * sqrt(wanted_variance / RUNS));
    assert_true(fabs(bytes - wanted_bytes) < 5 * sqrt(bytes_variance / RUNS));
    // The variance that was estimated, and the one that was seen, are the one that is derived.
    assert_true(fabs(variance / wanted_variance - 1) < 0.25);
    assert_true(fabs(squares / wanted_variance - 1) < 0.25);
}

static void test_a_thousand_threads_of_one_allocation_each_are_estimated_right(void **state)
{
    (void)state;
    enum { THREADS = 1000, RUNS = 400 };
    const uint64_t size = 64 << 10;
    double w = oh_weight_objects(size, usual_mean);
    double mean = 0;
    oh_sampler_init(usual_mean, SHIFT);
    for (int i = 0; i < RUNS; i++) {
        for (int n = 0; n < THREADS; n++) {
            struct oh_thread thread = {0};
            mean += weight_of(allocate(&thread, size)) / RUNS;
        }
    }
    // the standard error of the mean over the runs: sqrt(N (w - 1) / RUNS)
    assert_true(fabs(mean - THREADS) < 5 * sqrt(THREADS * (w - 1) / RUNS));
}

// Runs of two threads with different histories under a mean that is moved about. `off` collects
// what the estimates miss by, `variance` what they claim; `wrong` the same for the wrong rule, the
// weight of the mean of now.
struct changes {
    double off[2], variance[2];
    double wrong[2];
    int decided_before; // Samples under another mean than that of now.
    int changes;
};

enum { OBJECTS, BYTES };

struct change_run {
    struct oh_thread threads[2];
    uint64_t means[OH_FORMAT_MEANS];
    uint32_t now;
    bool follows; // The mean goes where the samples lead it, not where a clock does.
    struct changes *sums;
};

static void change_mean(struct change_run *run, uint32_t place)
{
    run->sums->changes += place != run->now;
    run->now = place;
    oh_sampler_set_mean(place);
}

static void allocate_in(struct change_run *run, int thread, uint64_t size)
{
    struct changes *sums = run->sums;
    double n = (double)size;
    uint32_t mean = OH_FORMAT_MEANS;
    double w = weight_of(allocate_under(&run->threads[thread], size, &mean));
    sums->off[OBJECTS] -= 1;
    sums->off[BYTES] -= n;
    sums->wrong[OBJECTS] -= 1;
    sums->wrong[BYTES] -= n;
    if (w == 0)
        return;
    double wrong = oh_weight_objects(size, run->means[run->now]);
    sums->off[OBJECTS] += w;
    sums->off[BYTES] += n * w;
    sums->wrong[OBJECTS] += wrong;
    sums->wrong[BYTES] += n * wrong;
    sums->variance[OBJECTS] += w * (w - 1);
    sums->variance[BYTES] += n * n * w * (w - 1);
    sums->decided_before += mean != run->now;
    if (run->follows) // The worst that a controller can do: every sample moves the mean.
        change_mean(run, (run->now * 7 + 5) % 20);
}

static void run_with_changes(struct changes *sums, uint64_t seed, bool follows)
{
    static const uint64_t sizes[] = {700, 64, 40000, 4096, 300000, 16, 2000};
    static const uint32_t places[] = {6, 17, 2, 12, 19, 0, 9, 3, 15, 7, 1, 18, 5, 10};
    enum { ALLOCATIONS = 6000, PLACES = sizeof places / sizeof places[0] };
    struct change_run run = {.sums = sums, .follows = follows};
    run.now = oh_budget_make_ladder(usual_mean, run.means);
    oh_sampler_init_ladder(run.means, run.now, SHIFT);
    run.threads[0].random = oh_hash_mix(seed) | 1;
    run.threads[1].random = oh_hash_mix(~seed) | 1;
    for (uint64_t i = 0; i < ALLOCATIONS; i++) {
        allocate_in(&run, 0, sizes[i % 7]);
        // The other thread allocates small blocks, and not at all in every third stretch.
        if (i / 500 % 3 != 0 && i % 4 == 0)
            allocate_in(&run, 1, sizes[i / 4 % 2]);
        if (!follows && i % (ALLOCATIONS / PLACES + 1) == 0)
            change_mean(&run, places[i / (ALLOCATIONS / PLACES + 1)]);
    }
}

static void check_changes(bool follows)
{
    enum { RUNS = 3000 };
    struct changes sums = {0};
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        run_with_changes(&sums, seed, follows);
    for (int i = OBJECTS; i <= BYTES; i++) {
        double error = sqrt(sums.variance[i]);
        print_message("%s, %s: off by %.2f standard errors, the wrong rule by %.2f; %d changes, %d "
                      "samples decided before one\n",
                      follows ? "mean follows samples" : "mean changes by itself",
                      i == OBJECTS ? "objects" : "bytes", sums.off[i] / error,
                      sums.wrong[i] / error, sums.changes, sums.decided_before);
        assert_true(fabs(sums.off[i]) < 3 * error);
    }
    assert_true(sums.changes >= 10 * RUNS);
    assert_true(sums.decided_before > RUNS);
    // This test would see a wrong rule.
    assert_true(fabs(sums.wrong[BYTES]) > 5 * sqrt(sums.variance[BYTES]));
}

static void test_estimates_across_changes_of_the_mean_are_unbiased(void **state)
{
    (void)state;
    check_changes(false);
}

static void test_estimates_are_unbiased_when_the_mean_follows_the_samples(void **state)
{
    (void)state;
    check_changes(true);
}

// About as large as a chunk: then it matters that the point of a chunk is thrown away also where it
// lies inside of the allocation that reaches the chunk's end.
static void test_allocations_that_span_a_chunks_end_are_estimated_right(void **state)
{
    (void)state;
    enum { ALLOCATIONS = 200000, PLACE = 4, NEIGHBOUR = 7 };
    struct oh_thread thread = {.random = 1};
    uint64_t means[OH_FORMAT_MEANS];
    double off = 0, variance = 0;
    uint32_t first = oh_budget_make_ladder(usual_mean, means);
    oh_sampler_init_ladder(means, first, SHIFT);
    for (uint64_t i = 0; i < ALLOCATIONS; i++) {
        oh_sampler_set_mean(i / 100 % 2 == 0 ? PLACE : NEIGHBOUR);
        double w =
            weight_of(allocate(&thread, i % 2 == 0 ? means[PLACE] * 3 / 2 : means[PLACE] / 3));
        off += w - 1;
        variance += w * (w - 1);
    }
    assert_true(fabs(off) < 3 * sqrt(variance));
}

static void test_allocations_of_nothing_are_never_taken(void **state)
{
    (void)state;
    struct oh_thread thread = {0};
    oh_sampler_init(usual_mean, SHIFT);
    for (int i = 0; i < 100000; i++)
        assert_true(allocate(&thread, 0) == 0);
    oh_sampler_init(2, SHIFT);
    for (int i = 0; i < 100000; i++)
        assert_true(allocate(&thread, 0) == 0);
}

static void test_an_allocation_of_many_means_is_always_taken_and_weighs_one(void **state)
{
    (void)state;
    struct oh_thread thread = {0};
    oh_sampler_init(4096, SHIFT);
    for (int i = 0; i < 1000; i++)
        assert_true(allocate(&thread, UINT64_C(1) << 40) == 1 << SHIFT);
}

static void test_threads_draw_numbers_of_their_own(void **state)
{
    (void)state;
    enum { THREADS = 1000 };
    static uint64_t draws[THREADS];
    oh_sampler_init(UINT64_C(1) << 30, SHIFT);
    for (int i = 0; i < THREADS; i++) {
        struct oh_thread thread = {0};
        (void)allocate(&thread, 0);
        assert_true(thread.random != 0);
        draws[i] = thread.countdown;
    }
    qsort(draws, THREADS, sizeof *draws, compare);
    int equal = 0;
    for (int i = 1; i < THREADS; i++)
        equal += draws[i] == draws[i - 1];
    assert_in_range(equal, 0, 2);
}

static void seed_without_random(void *arg)
{
    (void)arg;
    uint64_t draws[2];
    oh_fault_fail_call(SYS_getrandom, EAGAIN);
    for (int i = 0; i < 2; i++) {
        struct oh_thread thread = {0};
        oh_sampler_init(usual_mean, SHIFT);
        (void)allocate(&thread, 0);
        draws[i] = thread.countdown;
    }
    oh_require(draws[0] != draws[1]);
}

static void test_a_system_without_random_numbers_still_has_a_seed(void **state)
{
    (void)state;
    oh_child_must_pass(seed_without_random, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minus_log_agrees_with_libm),
        cmocka_unit_test(test_one_minus_exp_agrees_with_libm),
        cmocka_unit_test(test_mean_of_a_weight_is_the_mean_that_gives_it),
        cmocka_unit_test(test_weight_is_the_reciprocal_of_the_probability),
        cmocka_unit_test(test_decide_in_exact_mode_takes_everything_once),
        cmocka_unit_test(test_countdown_of_a_new_thread_is_geometric),
        cmocka_unit_test(test_residual_of_a_countdown_has_no_memory),
        cmocka_unit_test(test_countdown_after_a_change_is_that_of_the_new_mean),
        cmocka_unit_test(test_estimates_over_many_runs_are_unbiased),
        cmocka_unit_test(test_a_thousand_threads_of_one_allocation_each_are_estimated_right),
        cmocka_unit_test(test_estimates_across_changes_of_the_mean_are_unbiased),
        cmocka_unit_test(test_estimates_are_unbiased_when_the_mean_follows_the_samples),
        cmocka_unit_test(test_allocations_that_span_a_chunks_end_are_estimated_right),
        cmocka_unit_test(test_allocations_of_nothing_are_never_taken),
        cmocka_unit_test(test_an_allocation_of_many_means_is_always_taken_and_weighs_one),
        cmocka_unit_test(test_threads_draw_numbers_of_their_own),
        cmocka_unit_test(test_a_system_without_random_numbers_still_has_a_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
