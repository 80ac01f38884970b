// SPDX-License-Identifier: Apache-2.0
//
// A writer of the time line that dies between any two instructions: a child that writes is stepped
// through them one by one, and after each the recording is read as of a process that was killed
// there.

#include "tables/steps.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "offheap/step.h"
#include "profile/timeline.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/stacks.h"

enum { FIRST_SECOND = 63, NEXT_SECOND = 64 };

static const uint64_t ns_per_s = UINT64_C(1000000000);

// What is there before and after.
static struct oh_format_stack *record;
static struct oh_step_row rows[2];
static struct oh_format_step steps[2];

struct seen {
    uint64_t row_states[2], torn_rows;
    uint64_t step_counts[3], torn_steps; // By how many whole steps there are.
};

static void write_moment(int number, uint32_t second, uint64_t bytes)
{
    steps[number].time_ns = second * ns_per_s;
    steps[number].inuse_bytes[OH_KIND_MALLOC] = bytes;
    oh_steps_bring_up(record, second, bytes);
    oh_steps_add(&steps[number]);
}

static int take_row(void *arg, const struct oh_view_stack *stack)
{
    struct seen *seen = arg;
    const struct oh_step_row *row = &stack->steps;
    if (stack->steps_torn) {
        // From some rung on it is as after, up to there as before.
        uint32_t rung = 0;
        while (rung < OH_FORMAT_STEP_RUNGS && row->values[rung] == rows[0].values[rung])
            rung++;
        for (; rung < OH_FORMAT_STEP_RUNGS; rung++)
            oh_require_equal(row->values[rung], rows[1].values[rung]);
        seen->torn_rows++;
        return 0;
    }
    int is_after = row->second == rows[1].second;
    oh_require(memcmp(row, &rows[is_after], sizeof *row) == 0);
    seen->row_states[is_after]++;
    return 0;
}

static void look(struct seen *seen)
{
    static struct oh_timeline timeline;
    struct oh_view view;
    struct oh_view_fault fault;
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    oh_require(oh_view_each_stack(&view, take_row, seen) == 0);
    oh_timeline_read(&view, &timeline);
    oh_require(timeline.count >= 1 && timeline.count <= 2 && timeline.torn <= 1);
    for (uint32_t i = 0; i < timeline.count; i++)
        oh_require(timeline.steps[i].time_ns == steps[i].time_ns &&
                   memcmp(timeline.steps[i].inuse_bytes, steps[i].inuse_bytes,
                          sizeof steps[i].inuse_bytes) == 0);
    seen->step_counts[timeline.count]++;
    seen->torn_steps += timeline.torn;
}

static void read_row(struct oh_step_row *row)
{
    row->second = (uint32_t)(record->step_word >> OH_STEP_WORD_SHIFT);
    memcpy(row->values, record->steps, sizeof row->values);
}

static void be_stepped(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(OH_CHILD_SKIPPED);
    (void)raise(SIGSTOP);
    write_moment(1, NEXT_SECOND, 5000000);
    (void)raise(SIGSTOP);
    _exit(0);
}

static void step_through(void *dir)
{
    struct oh_config config;
    struct seen seen = {0};
    int status = 0;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    oh_tables_begin(&config);
    oh_steps_init();
    oh_require(oh_steps_ready());
    record = oh_stacks_at(oh_tables_stack(OH_KIND_MALLOC, 1));
    record->alloc_bytes = UINT64_C(1) << 40;
    // given a stack and a time line that remember something else at every rung
    for (uint32_t second = 1; second < FIRST_SECOND; second++)
        oh_steps_bring_up(record, second, second * 1000);
    write_moment(0, FIRST_SECOND, 63000);
    read_row(&rows[0]);
    rows[1] = rows[0];
    oh_require(oh_step_bring_up(&rows[1], NEXT_SECOND, oh_step_pack(5000000)));
    steps[1].time_ns = NEXT_SECOND * ns_per_s;
    steps[1].inuse_bytes[OH_KIND_MALLOC] = 5000000;

    pid_t pid = fork();
    if (pid == 0)
        be_stepped();
    oh_require(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    // when the writer is stopped after each of its instructions
    do {
        look(&seen);
        oh_require(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
        oh_require(waitpid(pid, &status, 0) == pid);
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    oh_require(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    oh_require(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    look(&seen);
    // then what was torn was told, and all else was whole
    oh_require(seen.row_states[0] > 0 && seen.row_states[1] > 0 && seen.torn_rows >= 3);
    oh_require(seen.step_counts[1] > 0 && seen.step_counts[2] > 0 && seen.torn_steps > 10);
}

static void test_writer_that_dies_at_any_instruction_leaves_nothing_wrong(void **state)
{
    (void)state;
    oh_scratch_run(step_through);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_that_dies_at_any_instruction_leaves_nothing_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
