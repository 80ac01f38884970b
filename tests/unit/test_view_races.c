// SPDX-License-Identifier: Apache-2.0
//
// A live block as read while other threads go on: a block is freed and another one takes its entry
// between every two instructions of the reading, one pair of them in each round. x86-64: steps by
// the trap flag.

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
};

static struct oh_synthetic recording;
static struct oh_format_block *entry;
static struct oh_block before = {.address = 0x7f0000001230, .size = 100, .time_s = 7};
static struct oh_block after = {.address = 0x7f0000004560, .size = 2000, .time_s = 9};
static long steps, work_at; // Since the entry was first looked at.
static long work_steps;     // Steps of the other thread's work that are done.
static bool read_first;     // The block was read before any of it was done.

static void set_page(int protection)
{
    assert_int_equal(
        mprotect((void *)((uintptr_t)entry & ~(uintptr_t)(PAGE - 1)), PAGE, protection), 0);
}

// The reader has come to the entry: from here on it goes in steps, the first of which is the load
// that brought it here.
static void at_first_look(int signal, siginfo_t *info, void *context)
{
    ucontext_t *const at = context;
    (void)signal;
    (void)info;
    set_page(PROT_READ | PROT_WRITE);
    at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

// The writer's stores, one at each step from work_at on.
static void at_step(int signal, siginfo_t *info, void *context)
{
    ucontext_t *const at = context;
    (void)signal;
    (void)info;
    if (++steps < work_at)
        return;
    switch (work_steps++) {
    case 0: entry->place = OH_LIVE_EMPTY; break;
    case 1: entry->place = OH_LIVE_BUSY; break;
    case 2: entry->facts = oh_block_facts(&after); break;
    default: entry->place = oh_block_place(&after); at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    }
}

static int take_block(void *arg, const struct oh_view_block *read)
{
    *(struct oh_view_block *)arg = *read;
    read_first = work_steps == 0;
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
    before.stack = oh_synthetic_ref(&recording, oh_synthetic_stack(&recording, &like, &pc, 1, 0));
    after.stack = before.stack;
    entry = oh_synthetic_block(&recording, &before);
}

static bool is_same(const struct oh_view_block *read, const struct oh_block *block)
{
    return read->address == block->address && read->size == block->size &&
           read->time_s == block->time_s;
}

static void test_block_that_changes_at_any_instruction_is_read_whole_or_not_at_all(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    (void)state;
    handle(SIGSEGV, at_first_look);
    handle(SIGTRAP, at_step);
    bool found_before = false, found_none = false;
    bool done = false;
    for (long round = 1; !done; round++) {
        struct oh_view_block read = {0};
        begin();
        assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
        steps = 0;
        work_steps = 0;
        read_first = false;
        work_at = round;
        set_page(PROT_NONE);
        int found = oh_view_each_block(&view, take_block, &read);
        assert_true(found == 0 || is_same(&read, &before));
        assert_int_equal(view.damaged, 0);
        found_none |= found == 0;
        found_before |= is_same(&read, &before);
        done = read_first;
        assert_true(round < MAX_STEPS);
    }
    assert_true(found_before && found_none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_that_changes_at_any_instruction_is_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
