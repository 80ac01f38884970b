// SPDX-License-Identifier: Apache-2.0
//
// The time line under many threads, and killed. Threads allocate and free what they have as hooks
// do, and come by for visits on a clock that runs a thousand times too fast, while a reader looks
// on; killed at any moment, the recording holds whole steps, at most one that is torn, and steps of
// stacks of which at most one is.

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "offheap/step.h"
#include "profile/timeline.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "support/threads.h"
#include "tables/live.h"
#include "tables/stacks.h"
#include "track/timeline.h"

enum { THREADS = 4, KILLS = 60, STACKS = 300, HELD = 256, BYTES = 100, RATE = 1000 };

static const uint64_t heap = UINT64_C(0x7e0000000000);

static struct run {
    const char *dir;
    char *path; // Shared with the parent.
    uint64_t *ready;
    uint64_t rounds; // Of each thread; UINT64_MAX: until killed.
    uint32_t stacks[STACKS];
    uint64_t began_ns;
    uint64_t finished;
} run;

static void no_usage(struct oh_usage_source *source, bool look, struct oh_usage *usage)
{
    (void)source;
    (void)look;
    *usage = (struct oh_usage){1, 2};
}

static uint64_t no_time(void)
{
    return 0;
}

static uint64_t fast_now(void)
{
    return (oh_sys_clock_ns(CLOCK_MONOTONIC) - run.began_ns) * RATE;
}

static void begin(void)
{
    static const struct oh_timeline_ops ops = {no_usage, no_time};
    struct oh_config config;
    oh_tables_config(&config, run.dir, UINT64_C(16) << 20);
    oh_tables_begin(&config);
    for (uint64_t i = 0; i < STACKS; i++)
        run.stacks[i] = oh_tables_stack(OH_KIND_MALLOC, i);
    oh_timeline_start(oh_recording_header(), true, &ops);
    run.began_ns = oh_sys_clock_ns(CLOCK_MONOTONIC);
}

// Each holds up to HELD blocks of its own, all of one size.
static void work(uint32_t number, void *arg)
{
    struct oh_random random = {number};
    bool held[HELD] = {0};
    (void)arg;
    for (uint64_t round = 0; round < run.rounds; round++) {
        uint64_t n = oh_random_below(&random, HELD);
        uint64_t size, address = heap + (number * HELD + n) * 64;
        uint32_t stack = run.stacks[oh_random_below(&random, STACKS)];
        if (held[n]) {
            oh_require(oh_live_remove(address, &size));
        } else {
            const struct oh_block block = {.address = address, .size = BYTES, .stack = stack};
            (void)oh_add_relaxed(&oh_stacks_at(stack)->alloc_bytes, BYTES);
            oh_require(oh_tables_enter(&block));
        }
        held[n] = !held[n];
        uint64_t now = fast_now();
        if (oh_timeline_due(now))
            oh_timeline_visit(now, 0);
    }
    (void)oh_add_relaxed(&run.finished, 1);
}

struct found {
    uint32_t torn_stacks;
    uint64_t remembered;
};

static int look_at_stack(void *arg, const struct oh_view_stack *stack)
{
    struct found *found = arg;
    found->torn_stacks += stack->steps_torn ? 1 : 0;
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++) {
        uint64_t bytes = oh_step_unpack(stack->steps.values[rung]);
        oh_require(bytes <= stack->alloc_bytes && bytes % BYTES == 0);
        found->remembered += bytes;
    }
    return 0;
}

// Reads it all; `torn` places and stacks are the most that may be.
static uint32_t look_at(const void *base, size_t size, uint32_t torn)
{
    static struct oh_timeline timeline;
    struct oh_view view;
    struct oh_view_fault fault;
    struct found found = {0};
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    oh_timeline_read(&view, &timeline);
    oh_require(timeline.torn <= torn);
    uint64_t last = 0;
    for (uint32_t i = 0; i < timeline.count; i++) {
        const struct oh_format_step *step = &timeline.steps[i];
        oh_require(step->time_ns > last);
        oh_require(step->resident_bytes == 1 && step->cgroup_bytes == 2);
        oh_require(step->inuse_bytes[OH_KIND_MALLOC] <= THREADS * HELD * BYTES);
        oh_require(step->inuse_bytes[OH_KIND_MALLOC] % BYTES == 0);
        last = step->time_ns;
    }
    oh_require(oh_view_each_stack(&view, look_at_stack, &found) == 0);
    oh_require(found.torn_stacks <= torn);
    oh_require(timeline.count == 0 || found.remembered > 0);
    return timeline.count;
}

static void work_or_look(uint32_t number, void *arg)
{
    if (number > 0) {
        work(number - 1, arg);
        return;
    }
    // While they are written, those of which a store is under way do not agree; no other may not.
    while (oh_load_relaxed(&run.finished) < THREADS) {
        size_t size;
        const void *base = oh_recording_base(&size);
        (void)look_at(base, size, OH_FORMAT_STEP_RUNGS * 2);
    }
}

static void watched(void *dir)
{
    run.dir = dir;
    run.rounds = 200000;
    begin();
    oh_threads_run(THREADS + 1, work_or_look, NULL);
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(look_at(base, size, 0) > 10);
}

static void test_threads_that_come_by_make_whole_steps(void **state)
{
    (void)state;
    oh_scratch_run(watched);
}

static void be_killed(void *arg)
{
    (void)arg;
    run.rounds = UINT64_MAX;
    begin();
    (void)strcpy(run.path, oh_recording_path());
    oh_store_release(run.ready, 1);
    oh_threads_run(THREADS, work, NULL);
}

static void look_at_file(void *steps)
{
    size_t size;
    void *base = oh_tables_map_file(run.path, &size);
    oh_require(base != NULL);
    *(uint32_t *)steps = look_at(base, size, 1);
}

static void test_killed_writers_leave_whole_steps_but_one(void **state)
{
    (void)state;
    enum { SHARED = 8192 };
    struct oh_random dice = {(uint64_t)getpid()};
    char *shared = mmap(NULL, SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    run.ready = (uint64_t *)(void *)shared;
    run.path = shared + SHARED / 2;
    uint32_t *steps = (uint32_t *)(void *)(shared + 64);
    uint32_t most = 0;
    for (int i = 0; i < KILLS; i++) {
        char dir[OH_SCRATCH_BYTES];
        oh_scratch_make(dir, NULL);
        run.dir = dir;
        *run.ready = 0;
        pid_t pid = oh_child_start(be_killed, NULL);
        while (oh_load_acquire(run.ready) == 0)
            (void)usleep(100);
        (void)usleep((useconds_t)oh_random_below(&dice, 60000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(oh_child_wait(pid), 128 + SIGKILL);
        oh_child_must_pass(look_at_file, steps);
        most = *steps > most ? *steps : most;
        oh_scratch_remove(dir);
    }
    assert_true(most > 5);
    (void)munmap(shared, SHARED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_that_come_by_make_whole_steps),
        cmocka_unit_test(test_killed_writers_leave_whole_steps_but_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
