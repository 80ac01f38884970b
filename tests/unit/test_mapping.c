// SPDX-License-Identifier: Apache-2.0
#include "track/mapping.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/thread.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/tracking.h"
#include "tables/stacks.h"
#include "track/owner.h"
#include "track/track.h"

static const uint64_t at = UINT64_C(0x7e0000000000);

// As a hook does it.
static OH_NOINLINE void add(uint64_t begin, uint64_t end, enum oh_stack_kind kind)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    oh_mapping_add(&caller, at + begin, at + end, kind);
    __asm__ volatile("" ::: "memory");
}

static OH_NOINLINE void commit(uint64_t begin, uint64_t end)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    oh_mapping_commit(&caller, at + begin, at + end);
    __asm__ volatile("" ::: "memory");
}

static void gone(uint64_t begin, uint64_t end, bool succeeds)
{
    struct oh_mapping_removal removal;
    oh_mapping_begin_removal(&removal, at + begin, at + end);
    oh_mapping_end_removal(&removal, succeeds);
}

// The stack of what is mapped there; NULL: nothing is.
static const struct oh_format_stack *stack_at(uint64_t address)
{
    struct oh_format_range piece;
    if (oh_mapping_find(at + address, &piece) == 0)
        return NULL;
    return oh_stacks_at(oh_range_stack(&piece));
}

static void counts(void *dir)
{
    oh_tracking_start_sampled(dir, UINT64_C(1) << 20);
    errno = 99;
    // given: a first call, which in a program without the library is walked with the recorder's
    // frames when the same place maps twice more, and a third of it goes away
    volatile uint64_t times = 3; // Not known to the compiler: one call, and not three in a row.
    for (uint64_t i = 0; i < times; i++)
        add(0x20000 - 0x10000 * i, 0x20000 - 0x10000 * i + 0x3000, OH_KIND_MMAP);
    gone(0x20000, 0x23000, true);
    gone(0x1000, 0x2000, true);
    gone(0x0, 0x20000, false);
    // then nothing of that is an estimate
    const struct oh_format_stack *stack = stack_at(0x0);
    oh_require(stack != NULL && stack == stack_at(0x10000) && stack == stack_at(0x2fff));
    oh_require(stack_at(0x1000) == NULL && stack_at(0x3000) == NULL);
    oh_require_equal(stack->kind, OH_KIND_MMAP);
    oh_require_equal(stack->phase, OH_PHASE_MAIN);
    oh_require_equal(stack->alloc_bytes, 0x6000);
    oh_require_equal(stack->alloc_objects, UINT64_C(2) << oh_recording_header()->weight_shift);
    oh_require_equal(stack->samples, 2);
    oh_require_equal(stack->alloc_bytes_variance, 0);
    oh_require(stack->depth > 2);
    oh_require_equal(oh_tables_mapped(NULL), 0x5000);
    oh_require_equal(errno, 99);
    // and no sample was spent on it
    oh_require_equal(oh_thread_self.random, 0);
}

static void test_maps_are_counted_exactly_when_malloc_is_sampled(void **state)
{
    (void)state;
    oh_scratch_run(counts);
}

static void commits(void *dir)
{
    oh_tracking_start_exact(dir);
    add(0x0, 0x4000, OH_KIND_MMAP);
    commit(0x0, 0x4000); // Nothing to commit, and nothing is counted.
    const struct oh_format_stack *memory = stack_at(0x0);
    add(0x10000, 0x20000, OH_KIND_RESERVE);
    commit(0x0, 0x12000);
    oh_require(stack_at(0x0) == memory);
    const struct oh_format_stack *committed = stack_at(0x11000);
    oh_require(committed != memory && committed->kind == OH_KIND_MMAP);
    oh_require_equal(committed->alloc_bytes, 0x2000);
    oh_require_equal(committed->alloc_objects, 1);
    oh_require_equal(stack_at(0x12000)->kind, OH_KIND_RESERVE);
    oh_require_equal(stack_at(0x12000)->alloc_bytes, 0x10000);
}

static void test_commit_counts_what_was_reserved(void **state)
{
    (void)state;
    oh_scratch_run(commits);
}

// A call inside of malloc's real function, or of a handler that interrupts the recorder.
static void nested(void *dir)
{
    oh_tracking_start_exact(dir);
    oh_thread_self.busy = 1;
    add(0x0, 0x4000, OH_KIND_MMAP);
    gone(0x0, 0x1000, true);
    oh_require_equal(oh_thread_self.busy, 1);
    const struct oh_format_stack *stack = stack_at(0x1000);
    oh_require(stack != NULL && stack_at(0x0) == NULL);
    oh_require_equal(stack->depth, 1);
    oh_require_equal(stack->end, OH_STACK_END_BROKEN);
    oh_thread_self.busy = 0;
    add(0x10000, 0x14000, OH_KIND_MMAP);
    oh_require_equal(oh_thread_self.busy, 0);
    oh_require(stack_at(0x10000)->depth > 1);
}

static void test_nested_call_is_recorded_with_its_caller(void **state)
{
    (void)state;
    oh_scratch_run(nested);
}

static void early(void *dir)
{
    // before the recorder is up
    add(0x0, 0x10000, OH_KIND_MMAP);
    add(0x20000, 0x30000, OH_KIND_RESERVE);
    gone(0x4000, 0x5000, true);
    gone(0x0, 0x30000, false);
    commit(0x21000, 0x22000);
    oh_require(stack_at(0x0) == NULL);
    // when it comes up
    oh_tracking_start_exact(dir);
    oh_require_equal(oh_tables_mapped(NULL), 0x1f000);
    oh_require_equal(stack_at(0x0)->depth, 1);
    oh_require_equal(stack_at(0x0)->alloc_bytes, 0x10000);
    oh_require(stack_at(0x4000) == NULL);
    oh_require_equal(stack_at(0x20000)->kind, OH_KIND_RESERVE);
    oh_require_equal(stack_at(0x21000)->kind, OH_KIND_MMAP);
    oh_require_equal(stack_at(0x21000)->alloc_bytes, 0x1000);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_early_maps), 0);
}

static void test_calls_before_the_start_are_entered_at_the_start(void **state)
{
    (void)state;
    oh_scratch_run(early);
}

static void too_many_early(void *dir)
{
    for (uint64_t i = 0; i < 1000; i++)
        add(0x10000 * i, 0x10000 * i + 0x1000, OH_KIND_MMAP);
    oh_tracking_start_exact(dir);
    uint64_t lost = oh_tables_counter(OH_COUNTER_dropped_early_maps);
    oh_require(lost > 500 && lost < 1000);
    oh_require_equal(oh_tables_mapped(NULL), (1000 - lost) * 0x1000);
}

static void test_calls_before_the_start_that_find_no_room_are_counted(void **state)
{
    (void)state;
    oh_scratch_run(too_many_early);
}

static void owned(void *dir)
{
    oh_tracking_start_exact(dir);
    uint64_t here = (uint64_t)(uintptr_t)&owned;
    add(0x0, 0x1000, OH_KIND_MMAP);
    oh_require_equal(stack_at(0x0)->kind, OH_KIND_MMAP);
    // when the code around this is an allocator's
    oh_require(oh_owner_add_allocator(here, here + 0x1000));
    oh_require_equal(oh_owner_of_caller(here + 1), OH_KIND_ALLOCATOR);
    oh_require_equal(oh_owner_of_caller(here), 0); // The call before it is not.
    add(0x10000, 0x11000, OH_KIND_MMAP);
    oh_require_equal(stack_at(0x10000)->kind, OH_KIND_ALLOCATOR);
    oh_require_equal(stack_at(0x10000)->depth, 0);
    // also when something else is between it and the call
    const uint64_t pcs[] = {0x1234, here + 16, 0x5678};
    oh_require_equal(oh_owner_of_stack(pcs, 3, 0), OH_KIND_ALLOCATOR);
    oh_require_equal(oh_owner_of_stack(pcs, 1, (uint64_t)(uintptr_t)&here), 0);
    for (int i = 0; i < 1000; i++)
        (void)oh_owner_add_allocator(1, 2);
    oh_require(!oh_owner_add_allocator(1, 2));
}

static void test_allocators_maps_are_their_own(void **state)
{
    (void)state;
    oh_scratch_run(owned);
}

static void child(void *dir)
{
    oh_tracking_start_exact(dir);
    add(0x0, 0x1000, OH_KIND_MMAP);
    pid_t pid = fork();
    if (pid == 0) {
        oh_require(!oh_mapping_wanted());
        add(0x10000, 0x11000, OH_KIND_MMAP);
        gone(0x0, 0x1000, true);
        _exit(0);
    }
    oh_require(oh_child_wait(pid) == 0);
    oh_require_equal(oh_tables_mapped(NULL), 0x1000);
    oh_require(oh_mapping_wanted());
    // nor when it was switched off
    oh_track_stop(OH_OFF_internal, 0);
    oh_require(!oh_mapping_wanted());
    add(0x10000, 0x11000, OH_KIND_MMAP);
    oh_require_equal(oh_tables_mapped(NULL), 0x1000);
}

static void test_forked_child_and_switched_off_recorder_write_nothing(void **state)
{
    (void)state;
    oh_scratch_run(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_are_counted_exactly_when_malloc_is_sampled),
        cmocka_unit_test(test_commit_counts_what_was_reserved),
        cmocka_unit_test(test_nested_call_is_recorded_with_its_caller),
        cmocka_unit_test(test_calls_before_the_start_are_entered_at_the_start),
        cmocka_unit_test(test_calls_before_the_start_that_find_no_room_are_counted),
        cmocka_unit_test(test_allocators_maps_are_their_own),
        cmocka_unit_test(test_forked_child_and_switched_off_recorder_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
