// SPDX-License-Identifier: Apache-2.0
//
// Many threads on the whole way from the decision to the counters, with the real unwinder, while
// one of them loads and unloads libraries. Blocks are made up; each is freed by whoever gets it.

#include <dlfcn.h>

#include "base/atomic.h"
#include "base/thread.h"
#include "capture/budget.h"
#include "capture/modules.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/threads.h"
#include "support/tracking.h"
#include "tables/filter.h"
#include "track/track.h"

enum { THREADS = 6, STEPS = 20000, OWN = 300, SHARED = 256, DEPTHS = 12 };

// A word per shared block: 0, or the block that whoever takes the word has to free.
static uint64_t shared[SHARED];
static uint64_t recorded[THREADS], freed[THREADS], bytes[THREADS];

enum mode { EXACT, SAMPLED, BUDGETED };

// Goes by itself, two milliseconds a look: the controller makes its steps after so many samples,
// however fast they are.
static uint64_t counted_ns(void)
{
    static uint64_t looks;
    return oh_add_relaxed(&looks, 1) * 2000000;
}

// By whoever holds the step, and by nobody else: with room for a while, and without.
static uint64_t wavering_ns(void)
{
    static uint64_t now_ns, steps;
    now_ns += ++steps % 16 < 8 ? 50000000 : 10000000;
    return now_ns;
}

static void start(const char *dir, enum mode mode)
{
    static const struct oh_budget_clocks clocks = {counted_ns, wavering_ns};
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(64) << 20);
    config.exact = mode == EXACT;
    config.sample_bytes = 2000;
    config.max_overhead_ppm = mode == BUDGETED ? 50000 : 0;
    oh_tracking_set_clocks(&clocks);
    oh_tracking_start(&config);
}

static __attribute__((noinline)) void allocate(uint32_t depth, uint32_t number, uint64_t block,
                                               uint64_t size)
{
    struct oh_track_call call;
    if (depth > 0) {
        allocate(depth - 1, number, block, size);
    } else if (size < oh_thread_self.countdown) {
        oh_thread_self.countdown -= size;
    } else if (oh_track_begin(&call, size)) {
        oh_track_end(&call, NULL, (void *)block, size);
        recorded[number]++;
        bytes[number] += size;
    }
    __asm__ volatile("" : : "r"(&call) : "memory"); // No tail call: each level is a frame.
}

static void release(uint32_t number, uint64_t block, uint32_t step)
{
    struct oh_track_block taken;
    if (!oh_filter_maybe((void *)block))
        return;
    oh_track_take((void *)block, &taken);
    if (taken.recorded && step % 7 == 0) { // a realloc that failed
        oh_track_restore((void *)block, &taken);
        oh_track_take((void *)block, &taken);
        oh_require(taken.recorded);
    }
    freed[number] += taken.recorded;
}

static void come_and_go(uint32_t number)
{
    struct oh_random random = {number + 1};
    static __thread uint64_t own[OWN];
    uint64_t next = ((uint64_t)number + 1) << 40;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t *slot = &own[oh_random_below(&random, OWN)];
        uint64_t *word = &shared[oh_random_below(&random, SHARED)];
        uint64_t other = oh_load_acquire(word);
        if (*slot == 0) {
            *slot = next += 16;
            allocate((uint32_t)oh_random_below(&random, DEPTHS), number, *slot,
                     oh_random_below(&random, 500));
        } else if (other == 0 && oh_cas_acq_rel(word, &other, *slot)) {
            *slot = 0;
        } else {
            release(number, *slot, step);
            *slot = 0;
        }
        if (other != 0 && oh_cas_acq_rel(word, &other, 0))
            release(number, other, step);
    }
    for (int i = 0; i < OWN; i++) {
        if (own[i] != 0)
            release(number, own[i], 1);
    }
}

// Two libraries that take each other's place, again and again.
static void load_and_unload(void)
{
    static const char *const paths[] = {OH_TEST_PROBE_A, OH_TEST_PROBE_B};
    for (int i = 0; i < 200; i++) {
        void *handle = dlopen(paths[i % 2], RTLD_NOW | RTLD_LOCAL);
        oh_require(handle != NULL);
        uint64_t pc = (uint64_t)(uintptr_t)dlsym(handle, "probe_value") + 1;
        (void)oh_modules_note(&pc, 1);
        oh_modules_unloading();
        oh_require(dlclose(handle) == 0);
        oh_modules_unloaded();
    }
}

static void work(uint32_t number, void *arg)
{
    (void)arg;
    if (number == 0)
        load_and_unload();
    else
        come_and_go(number);
}

static void totals_agree(const char *dir, enum mode mode)
{
    struct oh_tables_sum sum;
    uint64_t in = 0, out = 0, in_bytes = 0;
    start(dir, mode);
    oh_threads_run(THREADS, work, NULL);
    for (int i = 0; i < SHARED; i++) {
        if (shared[i] != 0)
            release(0, shared[i], 1);
    }
    for (int i = 0; i < THREADS; i++) {
        in += recorded[i];
        out += freed[i];
        in_bytes += bytes[i];
    }
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.damaged, 0);
    oh_require_equal(sum.samples, in);
    oh_require_equal(out, in);
    oh_require_equal(sum.blocks, 0);
    oh_require_equal(sum.inuse_objects, 0);
    oh_require_equal(sum.inuse_bytes, 0);
    if (mode == EXACT)
        oh_require_equal(sum.alloc_bytes, in_bytes);
    oh_require_equal(oh_tables_counter(OH_COUNTER_unseen_frees), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), 0);
    for (int i = 0; i < OH_FILTER_WORDS; i++)
        oh_require_equal(oh_filter_flags[i], 0);
}

static void exact(void *dir)
{
    totals_agree(dir, EXACT);
}

static void sampled(void *dir)
{
    totals_agree(dir, SAMPLED);
}

static void budgeted(void *dir)
{
    totals_agree(dir, BUDGETED);
    const struct oh_format_budget *budget = &oh_recording_header()->budget;
    oh_require(budget->changes >= 5 && budget->finest < budget->coarsest);
}

static void test_exact_totals_of_many_threads_agree_at_rest(void **state)
{
    (void)state;
    oh_scratch_run(exact);
}

static void test_sampled_totals_of_many_threads_agree_at_rest(void **state)
{
    (void)state;
    oh_scratch_run(sampled);
}

static void test_totals_agree_at_rest_when_the_mean_moves(void **state)
{
    (void)state;
    oh_scratch_run(budgeted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_totals_of_many_threads_agree_at_rest),
        cmocka_unit_test(test_sampled_totals_of_many_threads_agree_at_rest),
        cmocka_unit_test(test_totals_agree_at_rest_when_the_mean_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
