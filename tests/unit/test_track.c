// SPDX-License-Identifier: Apache-2.0
//
// The real tables, unwinder and sampler behind the calls that the hooks make. Addresses of blocks
// are made up: nothing here follows them.

#include "track/track.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/thread.h"
#include "capture/modules.h"
#include "capture/sampler.h"
#include "capture/unwind.h"
#include "offheap/status.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/filter.h"

extern struct oh_status offheap_status;

static uint8_t phase_now = OH_PHASE_BEFORE_MAIN;

static uint8_t tell_phase(void)
{
    errno = 55; // Whatever is called below a hook may do so.
    return phase_now;
}

static void in_scratch(oh_child_fn *fn)
{
    char dir[OH_SCRATCH_BYTES];
    oh_scratch_make(dir, NULL);
    int status = oh_child_run(fn, dir);
    oh_scratch_remove(dir);
    if (status == OH_CHILD_SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static void start(const struct oh_config *config)
{
    oh_tables_begin(config);
    const struct oh_format_header *header = oh_recording_header();
    oh_sampler_init(header->sample_bytes, header->weight_shift);
    oh_unwind_init();
    oh_modules_init();
    oh_track_start(header, tell_phase);
}

static void start_exact(const char *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    start(&config);
}

static void start_sampled(const char *dir, uint64_t sample_bytes)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.exact = false;
    config.sample_bytes = sample_bytes;
    start(&config);
}

static void *address(uint64_t n)
{
    return (void *)(UINT64_C(0x7e0000000000) + n * 16);
}

// As a hook does it, without a real allocator. All from one line: one stack.
static __attribute__((noinline)) bool allocate(uint64_t n, uint64_t size)
{
    struct oh_track_call call;
    if (size < oh_thread_self.countdown) {
        oh_thread_self.countdown -= size;
        return false;
    }
    if (!oh_track_begin(&call, size))
        return false;
    oh_track_end(&call, n == 0 ? NULL : address(n), size);
    return true;
}

static struct oh_tables_sum sum_now(void)
{
    struct oh_tables_sum sum;
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(oh_tables_sum(base, size, &sum) == 0);
    oh_require_equal(sum.damaged, 0);
    return sum;
}

// --- Exact

static void records_and_frees(void *dir)
{
    start_exact(dir);
    oh_require_equal(offheap_status.state, OH_STATE_RECORDING);
    oh_require_equal(oh_recording_header()->state, OH_STATE_RECORDING);
    for (uint64_t n = 1; n <= 100; n++)
        oh_require(allocate(n, n));
    struct oh_tables_sum sum = sum_now();
    oh_require_equal(sum.blocks, 100);
    oh_require_equal(sum.blocks_bytes, 5050);
    oh_require_equal(sum.stacks, 1);
    oh_require_equal(sum.alloc_objects, 100);
    oh_require_equal(sum.alloc_bytes, 5050);
    oh_require_equal(sum.samples, 100);
    oh_require_equal(sum.free_objects, 0);
    for (uint64_t n = 1; n <= 100; n += 2)
        oh_track_free(address(n));
    sum = sum_now();
    oh_require_equal(sum.blocks, 50);
    oh_require_equal(sum.free_objects, 50);
    oh_require_equal(sum.free_bytes, 2500);
    oh_require_equal(sum.alloc_bytes, 5050);
    // once more, and what never was: nothing
    oh_track_free(address(1));
    oh_track_free(address(5000));
    oh_track_free(NULL);
    oh_require_equal(sum_now().free_objects, 50);
}

static void test_blocks_are_counted_when_they_come_and_when_they_go(void **state)
{
    (void)state;
    in_scratch(records_and_frees);
}

static void failed_call(void *dir)
{
    start_exact(dir);
    oh_require(allocate(0, 100));
    oh_require_equal(oh_thread_self.busy, 0);
    struct oh_tables_sum sum = sum_now();
    oh_require(sum.blocks == 0 && sum.alloc_objects == 0 && sum.stacks == 0);
    oh_require(allocate(1, 100));
}

static void test_a_call_that_failed_is_not_recorded(void **state)
{
    (void)state;
    in_scratch(failed_call);
}

static void errno_is_kept(void *dir)
{
    start_exact(dir);
    for (uint64_t n = 1; n < 3000; n++) { // over the growth of tables, too
        errno = 123;
        oh_require(allocate(n, 8) && errno == 123);
        if (n % 2 == 0)
            oh_track_free(address(n));
        oh_require(errno == 123);
    }
}

static void test_errno_is_never_changed(void **state)
{
    (void)state;
    in_scratch(errno_is_kept);
}

static void take_and_restore(void *dir)
{
    struct oh_track_block taken;
    start_exact(dir);
    (void)allocate(1, 64);
    (void)allocate(2, 36);
    // a realloc that fails
    oh_track_take(address(1), &taken);
    oh_require(taken.recorded && taken.facts.size == 64);
    oh_require_equal(sum_now().blocks, 1);
    oh_require_equal(sum_now().free_bytes, 64);
    oh_track_restore(address(1), &taken);
    // leaves everything as it was
    struct oh_tables_sum sum = sum_now();
    oh_require_equal(sum.blocks, 2);
    oh_require_equal(sum.blocks_bytes, 100);
    oh_require_equal(sum.alloc_objects, 2);
    oh_require_equal(sum.free_objects, 0);
    oh_require_equal(sum.free_bytes, 0);
    oh_require(oh_filter_maybe(address(1)));
    // and the block can still be freed, once
    oh_track_free(address(1));
    oh_require_equal(sum_now().free_bytes, 64);
    oh_require(!oh_filter_maybe(address(1)));
    // what was not recorded is not restored either
    oh_track_take(address(77), &taken);
    oh_require(!taken.recorded);
    oh_track_restore(address(77), &taken);
    oh_require_equal(sum_now().blocks, 1);
}

static void test_restore_after_a_failed_realloc_leaves_everything_as_it_was(void **state)
{
    (void)state;
    in_scratch(take_and_restore);
}

static void free_goes_unseen(void *dir)
{
    start_exact(dir);
    (void)allocate(1, 64);
    (void)allocate(1, 10);
    struct oh_tables_sum sum = sum_now();
    oh_require_equal(sum.blocks, 1);
    oh_require_equal(sum.blocks_bytes, 10);
    oh_require_equal(sum.alloc_bytes, 74);
    oh_require_equal(sum.free_bytes, 64);
    oh_require_equal(oh_tables_counter(OH_COUNTER_unseen_frees), 1);
    oh_require_equal(oh_filter_counters[oh_filter_slot((uintptr_t)address(1))], 1);
}

static void test_an_address_that_comes_back_counts_the_free_that_was_not_seen(void **state)
{
    (void)state;
    in_scratch(free_goes_unseen);
}

static void nested(void *dir)
{
    struct oh_track_call outer, inner;
    start_exact(dir);
    oh_require(oh_track_begin(&outer, 10));
    oh_require(!oh_track_begin(&inner, 20));
    oh_require(!oh_track_begin(&inner, 20));
    oh_track_end(&outer, address(1), 10);
    oh_require_equal(sum_now().blocks, 1);
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 2);
    oh_require(allocate(2, 10));
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 2);
}

static void test_a_call_inside_of_a_call_passes_and_is_counted(void **state)
{
    (void)state;
    in_scratch(nested);
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
    start_exact(dir);
    for (uint64_t n = 1; n <= 3; n++) {
        phase_now = n == 1 ? OH_PHASE_BEFORE_MAIN : OH_PHASE_MAIN;
        oh_require(allocate(n, 8));
    }
    oh_require_equal(sum_now().stacks, 2);
}

static void test_stacks_are_told_apart_by_their_phase(void **state)
{
    (void)state;
    in_scratch(phases);
}

static __attribute__((noinline)) bool allocate_deep(int depth, uint64_t n)
{
    bool done = depth > 0 ? allocate_deep(depth - 1, n) : allocate(n, 8);
    __asm__ volatile("" : : "r"(&done) : "memory"); // No tail call: each level is a frame.
    return done;
}

static void depth_is_limited(void *dir, uint32_t max_depth)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.max_depth = max_depth;
    start(&config);
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
    depth_is_limited(dir, 8);
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
    in_scratch(shallow);
    in_scratch(usual);
    in_scratch(deepest);
}

static void stack_is_whole(void *dir)
{
    start_exact(dir);
    oh_require(allocate(1, 8));
    struct oh_view_stack stack = only_stack();
    oh_require(stack.depth > 4 && stack.depth < 60);
    oh_require_equal(stack.end, OH_STACK_END_CLEAN);
    oh_require_equal(oh_tables_counter(OH_COUNTER_broken_stacks), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_truncated_stacks), 0);
}

static void test_a_stack_ends_cleanly_at_the_begin_of_the_program(void **state)
{
    (void)state;
    in_scratch(stack_is_whole);
}

// --- Sampled

static void sampled_weights(void *dir)
{
    start_sampled(dir, 4096);
    uint64_t taken = 0;
    const uint64_t size = 1000, calls = 20000;
    for (uint64_t n = 1; n <= calls; n++)
        taken += allocate(n, size);
    struct oh_tables_sum sum = sum_now();
    struct oh_view_stack stack = only_stack();
    double w = oh_sampler_weight(size, 4096);
    oh_require_equal(sum.samples, taken);
    oh_require_equal(sum.blocks, taken);
    uint64_t unit = (uint64_t)(w * 65536 + 0.5);
    oh_require_equal(sum.alloc_objects, taken * unit);
    oh_require_equal(sum.alloc_bytes, taken * (size * unit >> 16));
    // the variances are sums over what was taken
    double objects = (double)unit / 65536 * ((double)unit / 65536 - 1) * (double)taken;
    oh_require(stack.alloc_objects_variance / objects > 1 - 1e-9);
    oh_require(stack.alloc_objects_variance / objects < 1 + 1e-9);
    oh_require(stack.alloc_bytes_variance / (objects * 1e6) > 1 - 1e-9);
    oh_require(stack.alloc_bytes_variance / (objects * 1e6) < 1 + 1e-9);
    // six standard errors around the truth
    double error = (double)sum.alloc_objects / 65536 - (double)calls;
    oh_require(error * error < 36 * (double)calls * (w - 1));
    // what goes takes off exactly what it brought
    for (uint64_t n = 1; n <= calls; n++)
        oh_track_free(address(n));
    sum = sum_now();
    oh_require_equal(sum.blocks, 0);
    oh_require_equal(sum.free_objects, sum.alloc_objects);
    oh_require_equal(sum.free_bytes, sum.alloc_bytes);
    for (int i = 0; i < OH_FILTER_COUNTERS; i++)
        oh_require(oh_filter_counters[i] == 0 || oh_filter_counters[i] == OH_FILTER_MAYBE);
}

static void test_sampled_blocks_weigh_what_they_stand_for(void **state)
{
    (void)state;
    in_scratch(sampled_weights);
}

static void exact_has_no_variance(void *dir)
{
    start_exact(dir);
    (void)allocate(1, 100);
    struct oh_view_stack stack = only_stack();
    oh_require(stack.alloc_objects_variance == 0 && stack.alloc_bytes_variance == 0);
}

static void test_exact_counts_have_no_variance(void **state)
{
    (void)state;
    in_scratch(exact_has_no_variance);
}

static void *allocate_once(void *arg)
{
    (void)allocate((uint64_t)(uintptr_t)arg, 8192);
    return NULL;
}

static void many_threads(void *dir)
{
    enum { THREADS = 1000 };
    start_sampled(dir, 65536);
    for (uintptr_t n = 1; n <= THREADS; n++) {
        pthread_t thread;
        oh_require(pthread_create(&thread, NULL, allocate_once, (void *)n) == 0);
        oh_require(pthread_join(thread, NULL) == 0);
    }
    double w = oh_sampler_weight(8192, 65536);
    double error = (double)sum_now().alloc_objects / 65536 - THREADS;
    oh_require(error * error < 36.0 * THREADS * (w - 1));
}

static void test_a_thousand_threads_of_one_call_each_are_estimated_right(void **state)
{
    (void)state;
    in_scratch(many_threads);
}

// --- Full tables

static void live_is_full(void *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, OH_TABLES_SMALLEST);
    start(&config);
    const uint64_t calls = 60000;
    for (uint64_t n = 1; n <= calls; n++)
        oh_require(allocate(n, 10));
    struct oh_tables_sum sum = sum_now();
    uint64_t dropped = oh_tables_counter(OH_COUNTER_dropped_live_full);
    oh_require(dropped > 0);
    // what was dropped is in no total
    oh_require_equal(sum.blocks + dropped, calls);
    oh_require_equal(sum.alloc_objects, sum.blocks);
    oh_require_equal(sum.alloc_bytes, 10 * sum.blocks);
    for (uint64_t n = 1; n <= calls; n++)
        oh_track_free(address(n));
    sum = sum_now();
    oh_require(sum.blocks == 0 && sum.free_objects == sum.alloc_objects);
}

static void test_blocks_beyond_the_table_are_dropped_from_every_total(void **state)
{
    (void)state;
    in_scratch(live_is_full);
}

static void stacks_are_full(void *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, OH_TABLES_SMALLEST);
    start(&config);
    for (uint32_t level = 0; oh_recording_section(OH_SECTION_STACKS, level) != NULL; level++) {
        struct oh_format_section *section = oh_recording_section(OH_SECTION_STACKS, level);
        oh_require(oh_recording_reserve(section) == 0);
        while (oh_recording_take(section, OH_FORMAT_STACK_ALIGN) != 0) {
        }
    }
    for (uint64_t n = 1; n <= 10; n++)
        oh_require(allocate(n, 10));
    struct oh_tables_sum sum = sum_now();
    oh_require(sum.blocks == 0 && sum.stacks == 0 && sum.alloc_objects == 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), 10);
    oh_require_equal(oh_thread_self.busy, 0);
}

static void test_calls_whose_stack_has_no_place_are_dropped_and_counted(void **state)
{
    (void)state;
    in_scratch(stacks_are_full);
}

// --- Before, after, and in children

static void before_the_start(void *dir)
{
    struct oh_track_call call;
    struct oh_track_block taken = {.recorded = true};
    (void)dir;
    oh_require_equal(oh_track_state(), OH_TRACK_UNSET);
    oh_require(!oh_track_begin(&call, 100));
    oh_require_equal(oh_thread_self.countdown, 0); // it will ask again
    oh_track_free(address(1));
    oh_track_take(address(1), &taken);
    oh_require(!taken.recorded);
    oh_require(!oh_track_is_child());
    // one caller is to start it
    oh_require(oh_track_claim_start());
    oh_require(!oh_track_claim_start());
    oh_require_equal(oh_track_state(), OH_TRACK_STARTING);
    oh_require(!oh_track_begin(&call, 100));
    oh_require_equal(oh_thread_self.countdown, 0);
}

static void test_nothing_is_recorded_before_the_start(void **state)
{
    (void)state;
    in_scratch(before_the_start);
}

static void stopped(void *dir)
{
    struct oh_track_call call;
    start_exact(dir);
    (void)allocate(1, 10);
    oh_track_stop(OH_OFF_internal, -ENOSPC);
    oh_require_equal(oh_track_state(), OH_TRACK_OFF);
    oh_require_equal(offheap_status.magic, OH_STATUS_MAGIC);
    oh_require_equal(offheap_status.state, OH_STATE_OFF);
    oh_require_equal(offheap_status.off_reason, OH_OFF_internal);
    oh_require_equal(offheap_status.off_errno, ENOSPC);
    oh_require(!oh_track_begin(&call, 10));
    oh_require(oh_thread_self.countdown > UINT64_MAX / 2); // it need not ask again
    oh_track_free(address(1));
    oh_require_equal(sum_now().blocks, 1);
}

static void test_nothing_is_recorded_after_the_stop(void **state)
{
    (void)state;
    in_scratch(stopped);
}

// What a forked child does with its parent's blocks, and its own, stays out of the recording.
static void fork_a_child(void *dir)
{
    start_exact(dir);
    (void)allocate(1, 10);
    (void)allocate(2, 20);
    struct oh_tables_sum before = sum_now();
    pid_t pid = fork();
    if (pid == 0) {
        struct oh_track_block taken;
        oh_require(oh_track_is_child());
        oh_track_take(address(1), &taken);
        oh_require(!taken.recorded);
        oh_track_free(address(2));
        oh_require(!allocate(3, 30));
        oh_require_equal(oh_track_state(), OH_TRACK_OFF);
        oh_require_equal(offheap_status.off_reason, OH_OFF_fork_child);
        _exit(0);
    }
    oh_require_equal(oh_child_wait(pid), 0);
    struct oh_tables_sum after = sum_now();
    oh_require(memcmp(&before, &after, sizeof before) == 0);
    oh_require_equal(oh_recording_header()->state, OH_STATE_RECORDING);
    // the parent goes on
    oh_require(!oh_track_is_child() && oh_track_state() == OH_TRACK_ON);
    oh_require(allocate(3, 30));
    oh_require_equal(offheap_status.state, OH_STATE_RECORDING);
}

static void test_a_forked_child_is_off_and_writes_nothing(void **state)
{
    (void)state;
    in_scratch(fork_a_child);
}

static void fork_inside_of_a_call(void *dir)
{
    struct oh_track_call call;
    start_exact(dir);
    struct oh_tables_sum before = sum_now();
    oh_require(oh_track_begin(&call, 10));
    pid_t pid = fork();
    if (pid == 0) {
        struct oh_track_call inner;
        oh_require(!oh_track_begin(&inner, 10));
        _exit(0);
    }
    oh_require_equal(oh_child_wait(pid), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 0);
    struct oh_tables_sum after = sum_now();
    oh_require(memcmp(&before, &after, sizeof before) == 0);
}

static void test_a_child_that_was_forked_inside_of_a_call_counts_nothing(void **state)
{
    (void)state;
    in_scratch(fork_inside_of_a_call);
}

// A kernel that cannot wipe a page on fork: the pid tells.
static void fork_on_an_old_kernel(void *dir)
{
    oh_fault_fail_call(SYS_madvise, EINVAL);
    fork_a_child(dir);
}

static void test_a_forked_child_is_told_by_its_pid_where_pages_cannot_be_wiped(void **state)
{
    (void)state;
    in_scratch(fork_on_an_old_kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_counted_when_they_come_and_when_they_go),
        cmocka_unit_test(test_a_call_that_failed_is_not_recorded),
        cmocka_unit_test(test_errno_is_never_changed),
        cmocka_unit_test(test_restore_after_a_failed_realloc_leaves_everything_as_it_was),
        cmocka_unit_test(test_an_address_that_comes_back_counts_the_free_that_was_not_seen),
        cmocka_unit_test(test_a_call_inside_of_a_call_passes_and_is_counted),
        cmocka_unit_test(test_stacks_are_told_apart_by_their_phase),
        cmocka_unit_test(test_a_stack_deeper_than_the_limit_is_cut_marked_and_counted),
        cmocka_unit_test(test_a_stack_ends_cleanly_at_the_begin_of_the_program),
        cmocka_unit_test(test_sampled_blocks_weigh_what_they_stand_for),
        cmocka_unit_test(test_exact_counts_have_no_variance),
        cmocka_unit_test(test_a_thousand_threads_of_one_call_each_are_estimated_right),
        cmocka_unit_test(test_blocks_beyond_the_table_are_dropped_from_every_total),
        cmocka_unit_test(test_calls_whose_stack_has_no_place_are_dropped_and_counted),
        cmocka_unit_test(test_nothing_is_recorded_before_the_start),
        cmocka_unit_test(test_nothing_is_recorded_after_the_stop),
        cmocka_unit_test(test_a_forked_child_is_off_and_writes_nothing),
        cmocka_unit_test(test_a_child_that_was_forked_inside_of_a_call_counts_nothing),
        cmocka_unit_test(test_a_forked_child_is_told_by_its_pid_where_pages_cannot_be_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
