// SPDX-License-Identifier: Apache-2.0
//
// A stack's counters as read while other threads go on: another thread's work is done between every
// two instructions of the reading, one pair of them in each round. x86-64: steps by the trap flag.

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "profile/view.h"
#include "support/cmocka.h"
#include "support/synthetic.h"

enum {
    PAGE = 4096,
    TRAP_FLAG = 0x100,
    MAX_STEPS = 100000,
    IN_USE = 6, // Before and after the other thread's work.
    WORK = 1000,
};

static struct oh_synthetic recording;
static struct oh_format_stack *stack;
static long steps, work_at; // Since the stack was first looked at.

static void set_page(int protection)
{
    assert_int_equal(
        mprotect((void *)((uintptr_t)stack & ~(uintptr_t)(PAGE - 1)), PAGE, protection), 0);
}

// The reader has come to the stack: from here on it goes in steps.
static void at_first_look(int signal, siginfo_t *info, void *context)
{
    ucontext_t *const at = context;
    (void)signal;
    (void)info;
    set_page(PROT_READ | PROT_WRITE);
    at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void at_step(int signal, siginfo_t *info, void *context)
{
    ucontext_t *const at = context;
    (void)signal;
    (void)info;
    if (++steps < work_at)
        return;
    stack->alloc_objects += WORK;
    stack->alloc_bytes += WORK;
    stack->free_objects += WORK;
    stack->free_bytes += WORK;
    at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static int take_stack(void *arg, const struct oh_view_stack *read)
{
    *(struct oh_view_stack *)arg = *read;
    work_at = steps; // What comes after the reading is not looked at.
    return 1;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(signal, &action, NULL), 0);
}

static void begin(void)
{
    const uint64_t pc = 0x4242;
    const struct oh_format_stack like = {0};
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    stack = oh_synthetic_stack(&recording, &like, &pc, 1, 0);
    stack->alloc_objects = 10 + IN_USE;
    stack->alloc_bytes = 10 + IN_USE;
    stack->free_objects = 10;
    stack->free_bytes = 10;
}

static void test_counters_with_work_at_any_instruction_show_what_was_in_use(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    struct oh_view_stack read;
    (void)state;
    handle(SIGSEGV, at_first_look);
    handle(SIGTRAP, at_step);
    bool done = false;
    for (long round = 1; !done; round++) {
        begin();
        assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
        steps = 0;
        work_at = round;
        set_page(PROT_NONE);
        assert_int_equal(oh_view_each_stack(&view, take_stack, &read), 1);
        assert_int_equal(read.alloc_objects - read.free_objects, IN_USE);
        assert_int_equal(read.alloc_bytes - read.free_bytes, IN_USE);
        done = steps < round;
        assert_true(round < MAX_STEPS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_with_work_at_any_instruction_show_what_was_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
