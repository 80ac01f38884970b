// SPDX-License-Identifier: Apache-2.0
//
// Tracking before it begins, after it was stopped, and in forked children.

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/thread.h"
#include "offheap/status.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"
#include "support/tracking.h"
#include "track/track.h"

extern struct oh_status offheap_status;

static void running(void *dir)
{
    oh_require_equal(offheap_status.magic, OH_STATUS_MAGIC);
    oh_require_equal(offheap_status.state, OH_STATE_STARTING);
    oh_tracking_start_exact(dir);
    oh_require_equal(offheap_status.state, OH_STATE_RECORDING);
    oh_require_equal(offheap_status.off_reason, OH_OFF_none);
    oh_require_equal(oh_recording_header()->state, OH_STATE_RECORDING);
}

static void test_the_start_is_told_in_the_recording_and_in_memory(void **state)
{
    (void)state;
    oh_scratch_run(running);
}

static void before_the_start(void *dir)
{
    struct oh_track_call call;
    struct oh_track_block taken = {.recorded = true};
    (void)dir;
    oh_require_equal(oh_track_state(), OH_TRACK_UNSET);
    oh_require(!oh_track_begin(&call, 100));
    oh_require_equal(oh_thread_self.countdown, 0); // it will ask again
    oh_track_free(oh_tracking_address(1));
    oh_track_take(oh_tracking_address(1), &taken);
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
    oh_scratch_run(before_the_start);
}

static void stopped(void *dir)
{
    struct oh_track_call call;
    oh_tracking_start_exact(dir);
    (void)oh_tracking_allocate(1, 10);
    oh_track_stop(OH_OFF_internal, -ENOSPC);
    oh_require_equal(oh_track_state(), OH_TRACK_OFF);
    oh_require_equal(offheap_status.magic, OH_STATUS_MAGIC);
    oh_require_equal(offheap_status.state, OH_STATE_OFF);
    oh_require_equal(offheap_status.off_reason, OH_OFF_internal);
    oh_require_equal(offheap_status.off_errno, ENOSPC);
    oh_require(!oh_track_begin(&call, 10));
    oh_require(oh_thread_self.countdown > UINT64_MAX / 2); // it need not ask again
    oh_track_free(oh_tracking_address(1));
    oh_require_equal(oh_tracking_sum().blocks, 1);
}

static void test_nothing_is_recorded_after_the_stop(void **state)
{
    (void)state;
    oh_scratch_run(stopped);
}

// What a forked child does with its parent's blocks, and its own, stays out of the recording.
static void fork_a_child(void *dir)
{
    oh_tracking_start_exact(dir);
    (void)oh_tracking_allocate(1, 10);
    (void)oh_tracking_allocate(2, 20);
    struct oh_tables_sum before = oh_tracking_sum();
    pid_t pid = fork();
    if (pid == 0) {
        struct oh_track_block taken;
        oh_require(oh_track_is_child());
        oh_track_take(oh_tracking_address(1), &taken);
        oh_require(!taken.recorded);
        oh_track_free(oh_tracking_address(2));
        oh_require(!oh_tracking_allocate(3, 30));
        oh_require_equal(oh_track_state(), OH_TRACK_OFF);
        oh_require_equal(offheap_status.off_reason, OH_OFF_fork_child);
        _exit(0);
    }
    oh_require_equal(oh_child_wait(pid), 0);
    struct oh_tables_sum after = oh_tracking_sum();
    oh_require(memcmp(&before, &after, sizeof before) == 0);
    oh_require_equal(oh_recording_header()->state, OH_STATE_RECORDING);
    // the parent goes on
    oh_require(!oh_track_is_child() && oh_track_state() == OH_TRACK_ON);
    oh_require(oh_tracking_allocate(3, 30));
    oh_require_equal(offheap_status.state, OH_STATE_RECORDING);
}

static void test_a_forked_child_is_off_and_writes_nothing(void **state)
{
    (void)state;
    oh_scratch_run(fork_a_child);
}

static void fork_inside_of_a_call(void *dir)
{
    struct oh_track_call call;
    oh_tracking_start_exact(dir);
    struct oh_tables_sum before = oh_tracking_sum();
    oh_require(oh_track_begin(&call, 10));
    pid_t pid = fork();
    if (pid == 0) {
        struct oh_track_call inner;
        oh_require(!oh_track_begin(&inner, 10));
        _exit(0);
    }
    oh_require_equal(oh_child_wait(pid), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 0);
    struct oh_tables_sum after = oh_tracking_sum();
    oh_require(memcmp(&before, &after, sizeof before) == 0);
}

static void test_a_child_that_was_forked_inside_of_a_call_counts_nothing(void **state)
{
    (void)state;
    oh_scratch_run(fork_inside_of_a_call);
}

static uint64_t hours;

static uint64_t hours_later(void)
{
    return ++hours * UINT64_C(3600) * 1000 * 1000 * 1000;
}

// Each look of its would be time for a step of the controller, by a processor time that is not the
// parent's.
static void fork_under_a_budget(void *dir)
{
    static const struct oh_budget_clocks clocks = {hours_later, hours_later};
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.exact = false;
    config.max_overhead_ppm = 10000;
    oh_tracking_set_clocks(&clocks);
    oh_tracking_start(&config);
    (void)oh_tracking_allocate(1, UINT64_C(1) << 40);
    struct oh_format_budget before = oh_recording_header()->budget;
    pid_t pid = fork();
    if (pid == 0) {
        struct oh_track_block taken;
        for (uint64_t n = 1; n < 1000; n++) {
            oh_track_take(oh_tracking_address(n), &taken);
            oh_track_free(oh_tracking_address(n));
            oh_require(!oh_tracking_allocate(n, UINT64_C(1) << 40));
        }
        _exit(0);
    }
    oh_require_equal(oh_child_wait(pid), 0);
    struct oh_format_budget after = oh_recording_header()->budget;
    oh_require(memcmp(&before, &after, sizeof before) == 0);
    // the parent's controller goes on
    for (uint64_t n = 1; n < 1000; n++)
        oh_track_free(oh_tracking_address(n));
    oh_require(oh_recording_header()->budget.cpu_ns > before.cpu_ns);
}

static void test_a_forked_child_leaves_its_parents_budget_alone(void **state)
{
    (void)state;
    oh_scratch_run(fork_under_a_budget);
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
    oh_scratch_run(fork_on_an_old_kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_start_is_told_in_the_recording_and_in_memory),
        cmocka_unit_test(test_nothing_is_recorded_before_the_start),
        cmocka_unit_test(test_nothing_is_recorded_after_the_stop),
        cmocka_unit_test(test_a_forked_child_is_off_and_writes_nothing),
        cmocka_unit_test(test_a_child_that_was_forked_inside_of_a_call_counts_nothing),
        cmocka_unit_test(test_a_forked_child_leaves_its_parents_budget_alone),
        cmocka_unit_test(test_a_forked_child_is_told_by_its_pid_where_pages_cannot_be_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
