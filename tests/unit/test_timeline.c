// SPDX-License-Identifier: Apache-2.0
//
// Steps made by hand on a clock of the test's own, read back through the view.

#include "track/timeline.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sandbox.h"
#include "offheap/step.h"
#include "profile/timeline.h"
#include "recording/recording.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/live.h"
#include "tables/maps.h"
#include "tables/stacks.h"

static const uint64_t s = UINT64_C(1000000000);
static const uint64_t ms = UINT64_C(1000000);
static const uint64_t heap = UINT64_C(0x7e0000000000);

static struct oh_usage usage_now = {5000, 7000};
static int asked, looked;

static void fake_usage(struct oh_usage_source *source, bool look, struct oh_usage *usage)
{
    (void)source;
    asked++;
    looked += look ? 1 : 0;
    *usage = usage_now;
}

static uint64_t spent_ns; // By each look at the clock of a visit.

static uint64_t no_time(void)
{
    static uint64_t clock_ns;
    return clock_ns += spent_ns;
}

static const struct oh_timeline_ops ops = {fake_usage, no_time};

static void start(const char *dir, bool exact)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.exact = exact;
    config.sample_bytes = exact ? config.sample_bytes : 4096;
    oh_tables_begin(&config);
    oh_timeline_start(oh_recording_header(), true, &ops);
}

static void hold(uint32_t stack, uint64_t n, uint64_t size)
{
    const struct oh_block block = {.address = heap + n * 64, .size = size, .stack = stack};
    oh_require(oh_tables_enter(&block));
    struct oh_format_stack *record = oh_stacks_at(stack);
    record->alloc_bytes += size;
}

static void drop(uint64_t n)
{
    uint64_t size;
    oh_require(oh_live_remove(heap + n * 64, &size));
}

// Comes by at this moment and then every 10 ms until the step is made.
static void step_at(uint64_t now_ns)
{
    oh_require(oh_timeline_due(now_ns));
    oh_timeline_visit(now_ns, 0);
    for (int i = 0; i < 1000 && oh_timeline_due(now_ns + 10 * ms); i++)
        oh_timeline_visit(now_ns += 10 * ms, 0);
}

static struct oh_timeline timeline;
static struct oh_view view;

static void read_back(void)
{
    size_t size;
    struct oh_view_fault fault;
    const void *base = oh_recording_base(&size);
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    oh_timeline_read(&view, &timeline);
}

static uint32_t timeline_count(void)
{
    read_back();
    return timeline.count;
}

struct wanted {
    uint32_t ref;
    struct oh_view_stack stack;
};

static int take_stack(void *arg, const struct oh_view_stack *stack)
{
    struct wanted *wanted = arg;
    if (stack->ref == wanted->ref)
        wanted->stack = *stack;
    return 0;
}

// What a stack had in use at a second, as a reader sees it.
static uint64_t at_second(uint32_t stack, int64_t second)
{
    struct wanted wanted = {.ref = stack};
    oh_require(oh_view_each_stack(&view, take_stack, &wanted) == 0);
    oh_require(wanted.stack.ref == stack && !wanted.stack.steps_torn);
    return oh_step_unpack(oh_step_at(&wanted.stack.steps, second));
}

static void totals(void *dir)
{
    start(dir, true);
    uint32_t one = oh_tables_stack(OH_KIND_MALLOC, 1);
    uint32_t other = oh_tables_stack(OH_KIND_MALLOC, 2);
    uint32_t mapped = oh_tables_stack(OH_KIND_MMAP, 3);
    uint32_t go = oh_tables_stack(OH_KIND_GO_RUNTIME, 4);
    for (uint64_t n = 1; n <= 10; n++)
        hold(one, n, 100);
    hold(other, 11, 5000);
    oh_require(oh_maps_set(heap, heap + 0x10000, mapped, 0));
    oh_require(oh_maps_set(heap + 0x4000, heap + 0x5000, 0, 0)); // A hole.
    oh_require(oh_maps_set(heap + 0x20000, heap + 0x21000, go, 0));
    errno = 99;
    sigset_t before, after;
    (void)sigemptyset(&before);
    (void)sigaddset(&before, SIGUSR1);
    oh_require(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    // when a step is made before the first second is over, and after it
    oh_require(!oh_timeline_due(s - 1));
    step_at(s);
    // then what the host sees of it is as before
    oh_require(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
    oh_require(sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGUSR2) == 0);
    oh_require_equal(errno, 99);
    drop(3);
    drop(11);
    oh_require(!oh_timeline_due(2 * s - 1));
    step_at(2 * s);
    // then each has what there was
    read_back();
    oh_require_equal(timeline.count, 2);
    oh_require_equal(timeline.torn, 0);
    const struct oh_format_step *step = &timeline.steps[0];
    oh_require_equal(step->time_ns, s);
    oh_require_equal(step->inuse_bytes[OH_KIND_MALLOC], 6000);
    oh_require_equal(step->alloc_bytes[OH_KIND_MALLOC], 6000);
    oh_require_equal(step->inuse_bytes[OH_KIND_MMAP], 0xf000);
    oh_require_equal(step->inuse_bytes[OH_KIND_GO_RUNTIME], 0x1000);
    oh_require_equal(step->resident_bytes, 5000);
    oh_require_equal(step->cgroup_bytes, 7000);
    oh_require_equal(oh_timeline_inuse(step), 6000 + 0xf000);
    oh_require_equal(timeline.steps[1].inuse_bytes[OH_KIND_MALLOC], 900);
    oh_require_equal(timeline.steps[1].alloc_bytes[OH_KIND_MALLOC], 6000);
    oh_require_equal(at_second(one, 2), 900);
    oh_require_equal(at_second(other, 2), 0);
    oh_require_equal(at_second(mapped, 2), 0xf000);
}

static void test_steps_hold_what_was_in_use_by_kind_and_by_stack(void **state)
{
    (void)state;
    oh_scratch_run(totals);
}

static void leaks(void *dir)
{
    start(dir, true);
    uint32_t leaky = oh_tables_stack(OH_KIND_MALLOC, 1);
    uint32_t steady = oh_tables_stack(OH_KIND_MALLOC, 2);
    uint64_t n = 1;
    hold(steady, 100000, 12345);
    // given: 100 bytes a second for half an hour, and then a day of silence
    for (uint64_t second = 1; second <= 1800; second++) {
        hold(leaky, n++, 100);
        step_at(second * s);
    }
    // then the stack knows what it had held in the seconds of the ladder
    read_back();
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++) {
        int64_t second = oh_step_second(rung, 1800);
        oh_require_equal(at_second(leaky, second), second < 1 ? 0 : 100 * second);
        oh_require_equal(at_second(steady, second), second < 1 ? 0 : 12345);
    }
    // and the time line is dense for a minute, thinner then, and reaches back to the beginning
    oh_require_equal(timeline.steps[timeline.count - 64].time_ns, (1800 - 63) * s);
    oh_require_equal(timeline.steps[0].time_ns, s);
    oh_require(timeline.count > 160);
    for (uint32_t i = 0; i < timeline.count; i++)
        oh_require_equal(oh_timeline_gap(&timeline, i, 1800), 0);
    oh_require(oh_timeline_at(&timeline, 0) == NULL);
    oh_require_equal(oh_timeline_at(&timeline, 1799)->time_ns, 1799 * s);
    // when nobody comes by for a day
    oh_require_equal(oh_timeline_gap(&timeline, timeline.count - 1, 90000), 88200);
    step_at(90000 * s);
    read_back();
    // then that is a gap, in which the stack had what it had before
    oh_require_equal(oh_timeline_gap(&timeline, timeline.count - 2, 90000), 88200);
    oh_require_equal(at_second(leaky, 1800 + 5000), 180000);
    oh_require_equal(looked, 1 + 1800 / 64);
}

static void test_stacks_remember_the_seconds_of_the_ladder_and_gaps_are_told(void **state)
{
    (void)state;
    oh_scratch_run(leaks);
}

static void samples(void *dir)
{
    start(dir, false);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    for (uint64_t n = 1; n <= 50; n++)
        hold(stack, n, 100 * n);
    step_at(s);
    struct oh_tables_sum sum;
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(oh_tables_sum(base, size, &sum) == 0);
    read_back();
    // the same estimate as a profile has
    oh_require(sum.inuse_bytes > 127500);
    oh_require_equal(timeline.steps[0].inuse_bytes[OH_KIND_MALLOC], sum.inuse_bytes);
}

static void test_samples_count_as_much_as_they_stand_for(void **state)
{
    (void)state;
    oh_scratch_run(samples);
}

static void visits(void *dir)
{
    enum { BLOCKS = 40000 };
    start(dir, true);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    for (uint64_t n = 1; n <= BLOCKS; n++)
        hold(stack, n, 64);
    // given a table that is more than one visit's work
    int count = 1;
    uint64_t now = s;
    oh_timeline_visit(now, 0);
    read_back();
    oh_require_equal(timeline.count, 0);
    // then there is a pause after each visit, and the step says how long it took
    oh_require(!oh_timeline_due(now + 10 * ms - 1));
    while (oh_timeline_due(now + 10 * ms) && count++ < 1000)
        oh_timeline_visit(now += 10 * ms, 0);
    read_back();
    oh_require_equal(timeline.count, 1);
    oh_require(count > 10 && count < 200);
    oh_require_equal(timeline.steps[0].took_ns, now - s);
    oh_require_equal(timeline.steps[0].inuse_bytes[OH_KIND_MALLOC], BLOCKS * 64);
    oh_require(!oh_timeline_due(2 * s - 1) && oh_timeline_due(2 * s));
}

static void test_large_table_is_looked_at_in_many_short_visits(void **state)
{
    (void)state;
    oh_scratch_run(visits);
}

static uint32_t told[8];
static int told_count;

static void be_told(uint32_t stack)
{
    told[told_count++ % 8] = stack;
    oh_require(!oh_timeline_due(UINT64_MAX - 1)); // No visit in a visit.
}

static void slow_visits(void *dir)
{
    enum { BLOCKS = 3000, PAGE_BLOCKS = 256 };
    start(dir, true);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    for (uint64_t n = 1; n <= BLOCKS; n++)
        hold(stack, n, 64);
    // given a machine on which two pages take longer than a visit may
    spent_ns = 60000;
    uint64_t now = s;
    int count = 1;
    oh_timeline_visit(now, 0);
    while (timeline_count() == 0 && count++ < 1000)
        oh_timeline_visit(now += 10 * ms, 0);
    // then a visit looks at one page, and the end has one of its own
    oh_require(count > BLOCKS / PAGE_BLOCKS && count < 1000);
    oh_require_equal(timeline.steps[0].inuse_bytes[OH_KIND_MALLOC], BLOCKS * 64);
}

static void test_visit_ends_when_its_time_is_over(void **state)
{
    (void)state;
    oh_scratch_run(slow_visits);
}

static void without_steps(void *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    oh_tables_begin(&config);
    oh_timeline_start(oh_recording_header(), false, &ops);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    hold(stack, 1, 64);
    oh_timeline_each_second(be_told);
    for (uint64_t second = 1; second <= 5; second++)
        oh_timeline_visit(second * s, stack);
    // nothing is asked or written, and what is done each second is done
    oh_require_equal(timeline_count(), 0);
    oh_require_equal(asked, 0);
    oh_require(!oh_recording_ready(oh_recording_section(OH_SECTION_STEPS, 0)));
    oh_require_equal(told_count, 5);
}

static void test_time_line_that_is_not_wanted_is_none(void **state)
{
    (void)state;
    oh_scratch_run(without_steps);
}

// Pages of the recording that are in memory.
static uint64_t pages_in_memory(void)
{
    static unsigned char pages[4096];
    size_t size;
    void *base = (void *)(uintptr_t)oh_recording_base(&size);
    uint64_t count = 0;
    oh_require(size / 4096 <= sizeof pages && mincore(base, size, pages) == 0);
    for (size_t i = 0; i < size / 4096; i++)
        count += pages[i] & 1;
    return count;
}

static void untouched(void *dir)
{
    start(dir, true);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    hold(stack, 1, 64);
    uint64_t before = pages_in_memory();
    step_at(s);
    // no page but those of the rings, one each, the log of maps and its table's first
    oh_require_equal(pages_in_memory(), before + OH_FORMAT_STEP_RUNGS + 2);
}

static void test_step_reads_no_page_that_was_never_written(void **state)
{
    (void)state;
    oh_scratch_run(untouched);
}

static void confined(void *dir)
{
    start(dir, true);
    hold(oh_tables_stack(OH_KIND_MALLOC, 1), 1, 64);
    usage_now = (struct oh_usage){OH_USAGE_ABSENT, OH_USAGE_ABSENT};
    step_at(s);
    // when the process confines itself
    oh_sandbox_enter();
    step_at(2 * s);
    step_at(3 * s);
    // then the system is left alone for good, and the blocks are still counted
    read_back();
    oh_require_equal(asked, 1);
    oh_require_equal(timeline.count, 3);
    for (int i = 0; i < 3; i++) {
        oh_require_equal(timeline.steps[i].resident_bytes, OH_FORMAT_STEP_ABSENT);
        oh_require_equal(timeline.steps[i].cgroup_bytes, OH_FORMAT_STEP_ABSENT);
        oh_require_equal(timeline.steps[i].inuse_bytes[OH_KIND_MALLOC], 64);
    }
}

static void test_confined_process_asks_the_system_nothing(void **state)
{
    (void)state;
    oh_scratch_run(confined);
}

static void many_maps(void *dir)
{
    enum { RANGES = 8300, PAGE = 4096 };
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(128) << 20);
    oh_tables_begin(&config);
    oh_timeline_start(oh_recording_header(), true, &ops);
    uint32_t stack = oh_tables_stack(OH_KIND_MMAP, 1);
    hold(oh_tables_stack(OH_KIND_MALLOC, 2), 1, 64);
    for (uint64_t n = 0; n < RANGES; n++)
        oh_require(oh_maps_set(heap + n * 2 * PAGE, heap + n * 2 * PAGE + PAGE, stack, 0));
    step_at(s);
    read_back();
    oh_require_equal(timeline.steps[0].inuse_bytes[OH_KIND_MALLOC], 64);
    oh_require_equal(timeline.steps[0].inuse_bytes[OH_KIND_MMAP], OH_FORMAT_STEP_ABSENT);
    oh_require_equal(oh_timeline_inuse(&timeline.steps[0]), OH_FORMAT_STEP_ABSENT);
    // when most are gone they are counted again
    oh_require(oh_maps_set(heap, heap + (RANGES - 10) * 2 * PAGE, 0, 0));
    for (uint64_t n = 0; n < 1000; n++) // Until the table is made anew.
        oh_require(oh_maps_set(heap + RANGES * 2 * PAGE, heap + RANGES * 2 * PAGE + PAGE, 0, 0));
    step_at(2 * s);
    read_back();
    oh_require_equal(timeline.steps[1].inuse_bytes[OH_KIND_MMAP], 10 * PAGE);
    oh_require_equal(at_second(stack, 2), 10 * PAGE);
}

static void test_more_ranges_than_a_visit_can_look_at_are_absent(void **state)
{
    (void)state;
    oh_scratch_run(many_maps);
}

static void damaged(void *dir)
{
    start(dir, true);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    hold(stack, 1, 64);
    for (uint64_t second = 1; second <= 9; second++) {
        hold(stack, 1 + second, 64);
        step_at(second * s);
    }
    // given: the newest step stands in the first ring alone, and was torn there
    struct oh_format_step *ring =
        oh_recording_at(oh_recording_section(OH_SECTION_STEPS, 0)->offset);
    ring[9].inuse_bytes[OH_KIND_MALLOC]++;
    read_back();
    oh_require_equal(timeline.count, 8);
    oh_require_equal(timeline.torn, 1);
    oh_require_equal(timeline.steps[7].time_ns, 8 * s);
    // given: one that is whole but stands where it does not belong
    ring[9] = ring[8];
    read_back();
    oh_require_equal(timeline.count, 8);
    oh_require_equal(timeline.torn, 1);
    // given: a stack's steps between two stores
    struct oh_format_stack *record = oh_stacks_at(stack);
    record->steps[7] = 1;
    struct wanted wanted = {.ref = stack};
    oh_require(oh_view_each_stack(&view, take_stack, &wanted) == 0);
    oh_require(wanted.stack.steps_torn);
    oh_require_equal(oh_step_unpack(oh_step_at(&wanted.stack.steps, 9)), 640);
}

static void test_torn_steps_are_left_out_and_told(void **state)
{
    (void)state;
    oh_scratch_run(damaged);
}

static void each_second(void *dir)
{
    start(dir, true);
    uint32_t stack = oh_tables_stack(OH_KIND_MALLOC, 1);
    oh_timeline_each_second(be_told);
    // when a map passes first, then the next allocation is taken as soon as a visit may be
    oh_timeline_visit(s, 0);
    oh_require_equal(told_count, 0);
    oh_require_equal(timeline_count(), 1);
    oh_require(!oh_timeline_due(s + 10 * ms - 1) && oh_timeline_due(s + 10 * ms));
    oh_timeline_visit(s + 20 * ms, stack);
    oh_require_equal(told_count, 1);
    oh_require_equal(told[0], stack);
    // but that is no step, and not again within a second
    oh_require_equal(timeline_count(), 1);
    oh_require(!oh_timeline_due(2 * s - 1));
    oh_timeline_visit(2 * s, stack);
    oh_require_equal(told_count, 1);
    oh_require_equal(timeline_count(), 2);
    oh_timeline_visit(2 * s + 20 * ms, stack);
    oh_require_equal(told_count, 2);
    oh_require_equal(timeline_count(), 2);
}

static void test_what_is_done_each_second_is_done_by_an_allocation(void **state)
{
    (void)state;
    oh_scratch_run(each_second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_hold_what_was_in_use_by_kind_and_by_stack),
        cmocka_unit_test(test_stacks_remember_the_seconds_of_the_ladder_and_gaps_are_told),
        cmocka_unit_test(test_samples_count_as_much_as_they_stand_for),
        cmocka_unit_test(test_large_table_is_looked_at_in_many_short_visits),
        cmocka_unit_test(test_visit_ends_when_its_time_is_over),
        cmocka_unit_test(test_time_line_that_is_not_wanted_is_none),
        cmocka_unit_test(test_step_reads_no_page_that_was_never_written),
        cmocka_unit_test(test_confined_process_asks_the_system_nothing),
        cmocka_unit_test(test_more_ranges_than_a_visit_can_look_at_are_absent),
        cmocka_unit_test(test_torn_steps_are_left_out_and_told),
        cmocka_unit_test(test_what_is_done_each_second_is_done_by_an_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
