// SPDX-License-Identifier: Apache-2.0
//
// The real tables, unwinder and sampler behind the calls that the hooks make. Addresses of blocks
// are made up: nothing here follows them.

#include "track/track.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "capture/sampler.h"
#include "offheap/weight.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"
#include "support/tracking.h"
#include "tables/filter.h"

// --- Exact

static void records_and_frees(void *dir)
{
    oh_tracking_start_exact(dir);
    oh_require_equal(oh_recording_header()->state, OH_STATE_RECORDING);
    for (uint64_t n = 1; n <= 100; n++)
        oh_require(oh_tracking_allocate(n, n));
    struct oh_tables_sum sum = oh_tracking_sum();
    oh_require_equal(sum.blocks, 100);
    oh_require_equal(sum.blocks_bytes, 5050);
    oh_require_equal(sum.stacks, 1);
    oh_require_equal(sum.alloc_objects, 100);
    oh_require_equal(sum.alloc_bytes, 5050);
    oh_require_equal(sum.samples, 100);
    oh_require_equal(sum.inuse_objects, 100);
    for (uint64_t n = 1; n <= 100; n += 2)
        oh_track_free(oh_tracking_address(n));
    sum = oh_tracking_sum();
    oh_require_equal(sum.blocks, 50);
    oh_require_equal(sum.inuse_objects, 50);
    oh_require_equal(sum.inuse_bytes, 2550);
    oh_require_equal(sum.alloc_bytes, 5050);
    // once more, and what never was: nothing
    oh_track_free(oh_tracking_address(1));
    oh_track_free(oh_tracking_address(5000));
    oh_track_free(NULL);
    oh_require_equal(oh_tracking_sum().inuse_objects, 50);
}

static void test_blocks_are_counted_when_they_come_and_when_they_go(void **state)
{
    (void)state;
    oh_scratch_run(records_and_frees);
}

static void failed_call(void *dir)
{
    oh_tracking_start_exact(dir);
    oh_require(oh_tracking_allocate(0, 100));
    oh_require_equal(oh_thread_self.busy, 0);
    struct oh_tables_sum sum = oh_tracking_sum();
    oh_require(sum.blocks == 0 && sum.alloc_objects == 0 && sum.stacks == 0);
    oh_require(oh_tracking_allocate(1, 100));
}

static void test_a_call_that_failed_is_not_recorded(void **state)
{
    (void)state;
    oh_scratch_run(failed_call);
}

static void errno_is_kept(void *dir)
{
    oh_tracking_start_exact(dir);
    for (uint64_t n = 1; n < 3000; n++) { // over the growth of tables, too
        errno = 123;
        oh_require(oh_tracking_allocate(n, 8) && errno == 123);
        if (n % 2 == 0)
            oh_track_free(oh_tracking_address(n));
        oh_require(errno == 123);
    }
}

static void test_errno_is_never_changed(void **state)
{
    (void)state;
    oh_scratch_run(errno_is_kept);
}

static void take_and_restore(void *dir)
{
    struct oh_track_block taken;
    oh_tracking_start_exact(dir);
    (void)oh_tracking_allocate(1, 64);
    (void)oh_tracking_allocate(2, 36);
    // a realloc that fails
    oh_track_take(oh_tracking_address(1), &taken);
    oh_require(taken.recorded && taken.facts.size == 64);
    oh_require_equal(oh_tracking_sum().blocks, 1);
    oh_require_equal(oh_tracking_sum().inuse_bytes, 36);
    oh_track_restore(oh_tracking_address(1), &taken);
    // leaves everything as it was
    struct oh_tables_sum sum = oh_tracking_sum();
    oh_require_equal(sum.blocks, 2);
    oh_require_equal(sum.blocks_bytes, 100);
    oh_require_equal(sum.alloc_objects, 2);
    oh_require_equal(sum.alloc_bytes, 100);
    oh_require_equal(sum.inuse_bytes, 100);
    oh_require(oh_filter_maybe(oh_tracking_address(1)));
    // and the block can still be freed, once
    oh_track_free(oh_tracking_address(1));
    oh_require_equal(oh_tracking_sum().inuse_bytes, 36);
    oh_require(!oh_filter_maybe(oh_tracking_address(1)));
    // what was not recorded is not restored either
    oh_track_take(oh_tracking_address(77), &taken);
    oh_require(!taken.recorded);
    oh_track_restore(oh_tracking_address(77), &taken);
    oh_require_equal(oh_tracking_sum().blocks, 1);
}

static void test_restore_after_a_failed_realloc_leaves_everything_as_it_was(void **state)
{
    (void)state;
    oh_scratch_run(take_and_restore);
}

static void free_goes_unseen(void *dir)
{
    oh_tracking_start_exact(dir);
    (void)oh_tracking_allocate(1, 64);
    (void)oh_tracking_allocate(1, 10);
    struct oh_tables_sum sum = oh_tracking_sum();
    oh_require_equal(sum.blocks, 1);
    oh_require_equal(sum.blocks_bytes, 10);
    oh_require_equal(sum.alloc_bytes, 74);
    oh_require_equal(sum.inuse_bytes, 10);
    oh_require_equal(oh_tables_counter(OH_COUNTER_unseen_frees), 1);
    oh_track_free(oh_tracking_address(1));
    oh_require(!oh_filter_maybe(oh_tracking_address(1)));
}

static void test_an_address_that_comes_back_counts_the_free_that_was_not_seen(void **state)
{
    (void)state;
    oh_scratch_run(free_goes_unseen);
}

// No allocator of this platform returns such a thing; what cannot be held is counted.
static void odd_blocks(void *dir)
{
    struct oh_track_call call;
    const uint64_t odd[] = {12, UINT64_C(1) << 47, UINT64_MAX - 7};
    oh_tracking_start_exact(dir);
    for (int i = 0; i < 3; i++) {
        oh_require(oh_track_begin(&call, 10));
        oh_track_end(&call, NULL, (void *)odd[i], 10);
    }
    oh_require(oh_track_begin(&call, UINT64_C(1) << 47));
    oh_track_end(&call, NULL, oh_tracking_address(1), UINT64_C(1) << 47);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_odd_blocks), 4);
    oh_require(oh_tracking_sum().blocks == 0 && oh_tracking_sum().alloc_objects == 0);
}

static void test_a_block_that_no_entry_can_hold_is_dropped_and_counted(void **state)
{
    (void)state;
    oh_scratch_run(odd_blocks);
}

static void nested(void *dir)
{
    struct oh_track_call outer, inner;
    oh_tracking_start_exact(dir);
    oh_require(oh_track_begin(&outer, 10));
    oh_require(!oh_track_begin(&inner, 20));
    oh_require(!oh_track_begin(&inner, 20));
    oh_track_end(&outer, NULL, oh_tracking_address(1), 10);
    oh_require_equal(oh_tracking_sum().blocks, 1);
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 2);
    oh_require(oh_tracking_allocate(2, 10));
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 2);
}

static void test_a_call_inside_of_a_call_passes_and_is_counted(void **state)
{
    (void)state;
    oh_scratch_run(nested);
}

// --- What a stack carries

static int keep_stack(void *arg, const struct oh_view_stack *stack)
{
    *(struct oh_view_stack *)arg = *stack;
    return 0;
}

static struct oh_view_stack only_stack(void)
{
    struct oh_view view;
    struct oh_view_fault fault;
    struct oh_view_stack stack = {0};
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    oh_require(oh_view_each_stack(&view, keep_stack, &stack) == 0);
    return stack;
}

static void phases(void *dir)
{
    oh_tracking_start_exact(dir);
    for (uint64_t n = 1; n <= 3; n++) {
        oh_tracking_set_phase(n == 1 ? OH_PHASE_BEFORE_MAIN : OH_PHASE_MAIN);
        oh_require(oh_tracking_allocate(n, 8));
    }
    oh_require_equal(oh_tracking_sum().stacks, 2);
}

static void test_stacks_are_told_apart_by_their_phase(void **state)
{
    (void)state;
    oh_scratch_run(phases);
}

static __attribute__((noinline)) bool allocate_deep(int depth, uint64_t n)
{
    bool done = depth > 0 ? allocate_deep(depth - 1, n) : oh_tracking_allocate(n, 8);
    __asm__ volatile("" : : "r"(&done) : "memory"); // No tail call: each level is a frame.
    return done;
}

static void depth_is_limited(void *dir, uint32_t max_depth)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.max_depth = max_depth;
    oh_tracking_start(&config);
    oh_require(allocate_deep(600, 1));
    struct oh_view_stack stack = only_stack();
    oh_require_equal(stack.depth, max_depth);
    oh_require_equal(stack.end, OH_STACK_END_DEPTH);
    oh_require_equal(oh_tables_counter(OH_COUNTER_truncated_stacks), 1);
    // The leaf end is kept, and the recursion repeats one address.
    oh_require(stack.pcs[max_depth - 1] == stack.pcs[max_depth - 2]);
}

static void shallow(void *dir)
{
    depth_is_limited(dir, 24); // Some of the frames are the recorder's own in this test.
}

static void usual(void *dir)
{
    depth_is_limited(dir, 128);
}

static void deepest(void *dir)
{
    depth_is_limited(dir, 512);
}

static void test_a_stack_deeper_than_the_limit_is_cut_marked_and_counted(void **state)
{
    (void)state;
    oh_scratch_run(shallow);
    oh_scratch_run(usual);
    oh_scratch_run(deepest);
}

static void stack_is_whole(void *dir)
{
    oh_tracking_start_exact(dir);
    oh_require(oh_tracking_allocate(1, 8));
    struct oh_view_stack stack = only_stack();
    oh_require(stack.depth > 4 && stack.depth < 60);
    oh_require_equal(stack.end, OH_STACK_END_CLEAN);
    oh_require_equal(oh_tables_counter(OH_COUNTER_broken_stacks), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_truncated_stacks), 0);
}

static void test_a_stack_ends_cleanly_at_the_begin_of_the_program(void **state)
{
    (void)state;
    oh_scratch_run(stack_is_whole);
}

// --- Sampled

static void sampled_weights(void *dir)
{
    oh_tracking_start_sampled(dir, 4096);
    uint64_t taken = 0;
    const uint64_t size = 1000, calls = 20000;
    for (uint64_t n = 1; n <= calls; n++)
        taken += oh_tracking_allocate(n, size);
    struct oh_tables_sum sum = oh_tracking_sum();
    struct oh_view_stack stack = only_stack();
    double w = oh_weight_objects(size, 4096);
    oh_require_equal(sum.samples, taken);
    oh_require_equal(sum.blocks, taken);
    uint64_t unit = (uint64_t)(w * 65536 + 0.5);
    oh_require_equal(sum.alloc_objects, taken * unit);
    oh_require_equal(sum.alloc_bytes, taken * (size * unit >> 16));
    // what is live weighs as much, as a reader computes it
    oh_require_equal(sum.inuse_objects, sum.alloc_objects);
    oh_require_equal(sum.inuse_bytes, sum.alloc_bytes);
    // the variances are sums over what was taken
    double objects = (double)unit / 65536 * ((double)unit / 65536 - 1) * (double)taken;
    oh_require(stack.alloc_objects_variance / objects > 1 - 1e-9);
    oh_require(stack.alloc_objects_variance / objects < 1 + 1e-9);
    oh_require(stack.alloc_bytes_variance / (objects * 1e6) > 1 - 1e-9);
    oh_require(stack.alloc_bytes_variance / (objects * 1e6) < 1 + 1e-9);
    // six standard errors around the truth
    double error = (double)sum.alloc_objects / 65536 - (double)calls;
    oh_require(error * error < 36 * (double)calls * (w - 1));
    // what goes leaves nothing behind
    for (uint64_t n = 1; n <= calls; n++)
        oh_track_free(oh_tracking_address(n));
    sum = oh_tracking_sum();
    oh_require_equal(sum.blocks, 0);
    for (int i = 0; i < OH_FILTER_WORDS; i++)
        oh_require_equal(oh_filter_flags[i], 0);
}

static void test_sampled_blocks_weigh_what_they_stand_for(void **state)
{
    (void)state;
    oh_scratch_run(sampled_weights);
}

static void exact_has_no_variance(void *dir)
{
    oh_tracking_start_exact(dir);
    (void)oh_tracking_allocate(1, 100);
    struct oh_view_stack stack = only_stack();
    oh_require(stack.alloc_objects_variance == 0 && stack.alloc_bytes_variance == 0);
}

static void test_exact_counts_have_no_variance(void **state)
{
    (void)state;
    oh_scratch_run(exact_has_no_variance);
}

static void *allocate_once(void *arg)
{
    (void)oh_tracking_allocate((uint64_t)(uintptr_t)arg, 8192);
    return NULL;
}

static void many_threads(void *dir)
{
    enum { THREADS = 1000 };
    oh_tracking_start_sampled(dir, 65536);
    for (uintptr_t n = 1; n <= THREADS; n++) {
        pthread_t thread;
        oh_require(pthread_create(&thread, NULL, allocate_once, (void *)n) == 0);
        oh_require(pthread_join(thread, NULL) == 0);
    }
    double w = oh_weight_objects(8192, 65536);
    double error = (double)oh_tracking_sum().alloc_objects / 65536 - THREADS;
    oh_require(error * error < 36.0 * THREADS * (w - 1));
}

static void test_a_thousand_threads_of_one_call_each_are_estimated_right(void **state)
{
    (void)state;
    oh_scratch_run(many_threads);
}

// --- Full tables

static void live_is_full(void *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, OH_TABLES_SMALLEST);
    oh_tracking_start(&config);
    const uint64_t calls = 120000;
    for (uint64_t n = 1; n <= calls; n++)
        oh_require(oh_tracking_allocate(n, 10));
    struct oh_tables_sum sum = oh_tracking_sum();
    uint64_t dropped = oh_tables_counter(OH_COUNTER_dropped_live_full);
    oh_require(dropped > 0);
    // what was dropped is in no total
    oh_require_equal(sum.blocks + dropped, calls);
    oh_require_equal(sum.alloc_objects, sum.blocks);
    oh_require_equal(sum.alloc_bytes, 10 * sum.blocks);
    for (uint64_t n = 1; n <= calls; n++)
        oh_track_free(oh_tracking_address(n));
    sum = oh_tracking_sum();
    oh_require(sum.blocks == 0 && sum.inuse_objects == 0);
}

static void test_blocks_beyond_the_table_are_dropped_from_every_total(void **state)
{
    (void)state;
    oh_scratch_run(live_is_full);
}

static void stacks_are_full(void *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, OH_TABLES_SMALLEST);
    oh_tracking_start(&config);
    for (uint32_t level = 0; oh_recording_section(OH_SECTION_STACKS, level) != NULL; level++) {
        struct oh_format_section *section = oh_recording_section(OH_SECTION_STACKS, level);
        oh_require(oh_recording_reserve(section) == 0);
        while (oh_recording_take(section, OH_FORMAT_STACK_ALIGN) != 0) {}
    }
    for (uint64_t n = 1; n <= 10; n++)
        oh_require(oh_tracking_allocate(n, 10));
    struct oh_tables_sum sum = oh_tracking_sum();
    oh_require(sum.blocks == 0 && sum.stacks == 0 && sum.alloc_objects == 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), 10);
    oh_require_equal(oh_thread_self.busy, 0);
}

static void test_calls_whose_stack_has_no_place_are_dropped_and_counted(void **state)
{
    (void)state;
    oh_scratch_run(stacks_are_full);
}

// --- System calls

static uint64_t no_time(void)
{
    return 1;
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Whole samples, their frees, and visits that take nothing. A step of the controller, one in 100
// ms, asks the kernel for the processor time of the process; here it has that from the test.
static void samples_under_a_budget(const char *dir, bool with_samples)
{
    static const struct oh_budget_clocks clocks = {monotonic_ns, no_time};
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.exact = false;
    config.sample_bytes = 4096;
    config.max_overhead_ppm = 10000;
    oh_tracking_set_clocks(&clocks);
    oh_tracking_start(&config);
    for (int round = 0; round < 3; round++) {
        if (round == 2)
            oh_fault_allow_no_call();
        for (uint64_t n = 1; n <= 3000 && (round < 2 || with_samples); n++) {
            (void)oh_tracking_allocate(n, n * 13 % 8000);
            oh_track_free(oh_tracking_address(n));
        }
    }
    _exit(0); // What oh_scratch_run does last is not allowed.
}

static void nothing_under_a_budget(void *dir)
{
    samples_under_a_budget(dir, false);
}

static void warm_samples_under_a_budget(void *dir)
{
    samples_under_a_budget(dir, true);
}

static void test_warm_samples_make_no_system_call_with_a_budget_either(void **state)
{
    (void)state;
    char dir[OH_SCRATCH_BYTES];
    oh_scratch_make(dir, NULL);
    // A sanitizer makes system calls of its own; then nothing can be said.
    int without = oh_child_run(nothing_under_a_budget, dir);
    int with = without == 0 ? oh_child_run(warm_samples_under_a_budget, dir) : 0;
    oh_scratch_remove(dir);
    if (without != 0)
        skip();
    assert_int_equal(with, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_counted_when_they_come_and_when_they_go),
        cmocka_unit_test(test_a_call_that_failed_is_not_recorded),
        cmocka_unit_test(test_errno_is_never_changed),
        cmocka_unit_test(test_restore_after_a_failed_realloc_leaves_everything_as_it_was),
        cmocka_unit_test(test_an_address_that_comes_back_counts_the_free_that_was_not_seen),
        cmocka_unit_test(test_a_block_that_no_entry_can_hold_is_dropped_and_counted),
        cmocka_unit_test(test_a_call_inside_of_a_call_passes_and_is_counted),
        cmocka_unit_test(test_stacks_are_told_apart_by_their_phase),
        cmocka_unit_test(test_a_stack_deeper_than_the_limit_is_cut_marked_and_counted),
        cmocka_unit_test(test_a_stack_ends_cleanly_at_the_begin_of_the_program),
        cmocka_unit_test(test_sampled_blocks_weigh_what_they_stand_for),
        cmocka_unit_test(test_exact_counts_have_no_variance),
        cmocka_unit_test(test_a_thousand_threads_of_one_call_each_are_estimated_right),
        cmocka_unit_test(test_blocks_beyond_the_table_are_dropped_from_every_total),
        cmocka_unit_test(test_calls_whose_stack_has_no_place_are_dropped_and_counted),
        cmocka_unit_test(test_warm_samples_make_no_system_call_with_a_budget_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
