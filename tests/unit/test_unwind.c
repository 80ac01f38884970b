// SPDX-License-Identifier: Apache-2.0
//
// Captures of this program's own stacks: what C can do to a stack, without Go.

#include "capture/unwind.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "capture/quick.h"
#include "capture/recall.h"
#include "capture/registers_x86_64.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"

// In unwind_frames.S.
void oh_test_without_cfi(void (*callback)(void));
void oh_test_smashed(void (*callback)(void), unsigned long frame);
void oh_test_by_expression(void (*callback)(void));

#define NOINLINE __attribute__((noinline))
// Keeps a call from being the last thing that a function does.
#define NO_TAIL_CALL() __asm__ volatile("")

struct capture {
    uint64_t pcs[OH_UNWIND_MAX];
    unsigned count;
    unsigned max;
    enum oh_unwind_end end;
};

static struct capture last;

// Index of the first address that is pc.
static unsigned index_of(const struct capture *capture, uint64_t pc)
{
    unsigned i = 0;
    while (i < capture->count && capture->pcs[i] != pc)
        i++;
    return i;
}

static void check_recalled(const struct oh_caller *caller, unsigned first)
{
    struct oh_recalled recalled;
    struct oh_recall *recall = oh_recall_mine();
    if (recall == NULL || !oh_unwind_recall(caller, OH_RECALL_FRAMES, recall, &recalled))
        return;
    if (last.end != OH_UNWIND_END_DEPTH) {
        assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
        assert_int_equal(recalled.depth, last.count - first);
    }
    assert_memory_equal(recalled.pcs, last.pcs + first, (last.count - first) * sizeof *last.pcs);
    oh_recall_end(recall);
}

// The same stack, from the place where take was called: twice, since what the quick walk does not
// know the full one teaches it. Where it falls back on the full walk there are frames before.
static void check_from(const struct oh_caller *caller)
{
    unsigned first = index_of(&last, caller->pc);
    for (int round = 0; round < 2; round++) {
        struct capture quick = {.max = last.max};
        quick.count = oh_unwind_capture(caller, quick.pcs, quick.max, &quick.end);
        unsigned begin = index_of(&quick, caller->pc);
        unsigned count = last.count - first;
        if (last.end != OH_UNWIND_END_DEPTH) {
            assert_int_equal(quick.end, last.end);
            assert_int_equal(quick.count - begin, count);
        }
        if (count > quick.count - begin)
            count = quick.count - begin;
        assert_memory_equal(quick.pcs + begin, last.pcs + first, count * sizeof *quick.pcs);
        check_recalled(caller, first);
    }
}

static NOINLINE void take(void)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    last.count = oh_unwind_capture(NULL, last.pcs, last.max, &last.end);
    check_from(&caller);
    NO_TAIL_CALL();
}

static void reset(unsigned max)
{
    memset(&last, 0, sizeof last);
    last.max = max;
    last.end = OH_UNWIND_END_COUNT;
}

// Functions of this file are short: an address within this distance behind the entry is inside.
enum { FUNCTION_BYTES_MAX = 288 };

static bool is_in(uint64_t pc, uint64_t entry)
{
    return pc - 1 >= entry && pc - 1 < entry + FUNCTION_BYTES_MAX;
}

static uint64_t entry_of(void (*function)(void))
{
    return (uint64_t)(uintptr_t)function;
}

// Index of the first address in the function, or -1.
static int find_frame(uint64_t entry)
{
    for (unsigned i = 0; i < last.count; i++)
        if (is_in(last.pcs[i], entry))
            return (int)i;
    return -1;
}

static NOINLINE void recurse(int depth)
{
    if (depth == 0)
        take();
    else
        recurse(depth - 1);
    NO_TAIL_CALL();
}

static void test_capture_of_recursion_has_every_frame_to_start(void **state)
{
    (void)state;
    enum { DEPTH = 20 };
    reset(OH_UNWIND_MAX);
    recurse(DEPTH);
    assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
    // oh_unwind_capture itself, take, then the recursion.
    assert_true(is_in(last.pcs[1], entry_of(take)));
    for (unsigned i = 0; i <= DEPTH; i++)
        assert_true(is_in(last.pcs[2 + i], (uint64_t)(uintptr_t)recurse));
    assert_true(last.count > 2 + DEPTH + 3);
}

static void test_capture_deeper_than_max_is_cut_at_the_root(void **state)
{
    (void)state;
    enum { MAX = 7 };
    reset(MAX);
    recurse(20);
    assert_int_equal(last.count, MAX);
    assert_int_equal(last.end, OH_UNWIND_END_DEPTH);
    assert_true(is_in(last.pcs[MAX - 1], (uint64_t)(uintptr_t)recurse));
    assert_int_equal(last.pcs[MAX], 0);
}

static void test_capture_with_room_for_exactly_all_is_clean(void **state)
{
    (void)state;
    reset(OH_UNWIND_MAX);
    recurse(3);
    unsigned all = last.count;
    reset(all);
    recurse(3);
    assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
    reset(all - 1);
    recurse(3);
    assert_int_equal(last.end, OH_UNWIND_END_DEPTH);
}

static void test_code_without_cfi_ends_the_stack_broken(void **state)
{
    (void)state;
    reset(OH_UNWIND_MAX);
    oh_test_without_cfi(take);
    assert_int_equal(last.end, OH_UNWIND_END_BROKEN);
    assert_int_equal(last.count, 3);
    assert_true(is_in(last.pcs[2], (uint64_t)(uintptr_t)oh_test_without_cfi));
}

static void test_smashed_frame_pointer_ends_the_stack_broken(void **state)
{
    (void)state;
    static const unsigned long frames[] = {
        0, 1, 8, 4096, 0x7fffffffffff, ULONG_MAX, ULONG_MAX - 15, 0x8000000000000000, 0xdeadbeef,
    };
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        reset(OH_UNWIND_MAX);
        oh_test_smashed(take, frames[i]);
        assert_int_equal(last.end, OH_UNWIND_END_BROKEN);
        assert_int_equal(last.count, 3);
    }
}

static void test_smashed_frame_pointer_into_an_unreadable_page(void **state)
{
    (void)state;
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    reset(OH_UNWIND_MAX);
    oh_test_smashed(take, (unsigned long)page + 64);
    assert_int_equal(last.end, OH_UNWIND_END_BROKEN);
    munmap(page, 4096);
}

static void test_frame_found_by_an_expression_is_passed(void **state)
{
    (void)state;
    reset(OH_UNWIND_MAX);
    oh_test_by_expression(take);
    assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
    assert_true(is_in(last.pcs[2], (uint64_t)(uintptr_t)oh_test_by_expression));
    assert_true(last.count > 5);
}

// A walk without a full one behind it: what could not be passed quickly is seen.
static struct {
    enum oh_quick_end end;
    unsigned count;
    unsigned max;
} passed;

static NOINLINE void pass(void)
{
    uint64_t pcs[OH_UNWIND_MAX];
    enum oh_unwind_end end;
    struct oh_caller at;
    oh_caller_here(&at);
    (void)oh_unwind_capture(NULL, pcs, OH_UNWIND_MAX, &end);
    struct oh_frames frames = {pcs, 0, passed.max};
    passed.end = oh_quick_walk(&frames, &at, oh_readable_begin(at.sp));
    passed.count = frames.count;
    NO_TAIL_CALL();
}

static NOINLINE void pass_below(int depth)
{
    if (depth == 0)
        pass();
    else
        pass_below(depth - 1);
    NO_TAIL_CALL();
}

static void test_quick_walk_passes_what_compilers_make(void **state)
{
    (void)state;
    passed.max = OH_UNWIND_MAX;
    pass_below(20);
    assert_int_equal(passed.end, OH_QUICK_END);
    assert_true(passed.count > 20 + 3);
    unsigned all = passed.count;
    passed.max = all;
    pass_below(20);
    assert_int_equal(passed.end, OH_QUICK_END);
    passed.max = all - 1;
    pass_below(20);
    assert_int_equal(passed.end, OH_QUICK_FULL);
    assert_int_equal(passed.count, all - 1);
}

static void test_quick_walk_passes_a_realigned_frame(void **state)
{
    (void)state;
    passed.max = OH_UNWIND_MAX;
    oh_test_by_expression(pass);
    assert_int_equal(passed.end, OH_QUICK_END);
    assert_true(passed.count > 3);
}

static void test_quick_walk_stops_at_code_without_cfi(void **state)
{
    (void)state;
    passed.max = OH_UNWIND_MAX;
    oh_test_without_cfi(pass);
    assert_int_equal(passed.end, OH_QUICK_STOP);
    assert_int_equal(passed.count, 0);
}

static void on_signal(int number)
{
    (void)number;
    take();
    NO_TAIL_CALL();
}

static NOINLINE void fault_here(void)
{
    // An illegal instruction at a known place; the handler's return is made to skip it.
    __asm__ volatile("ud2");
}

static void on_illegal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    enum { UD2_BYTES = 2 };
    take();
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += UD2_BYTES;
}

static void install(int number, int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_flags = flags;
    if (flags & SA_SIGINFO)
        action.sa_sigaction = on_illegal;
    else
        action.sa_handler = on_signal;
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

static void check_interrupted_stack(void)
{
    assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
    // One more than the interrupted instruction's address: one less is that instruction.
    unsigned found = 0;
    for (unsigned i = 0; i + 3 < last.count; i++) {
        const uint8_t *instruction = (const uint8_t *)(uintptr_t)(last.pcs[i] - 1);
        found += instruction[0] == 0x0f && instruction[1] == 0x0b &&
                 is_in(last.pcs[i], entry_of(fault_here));
    }
    assert_int_equal(found, 1);
}

static void test_signal_handler_shows_the_interrupted_function(void **state)
{
    (void)state;
    install(SIGILL, SA_SIGINFO);
    reset(OH_UNWIND_MAX);
    fault_here();
    check_interrupted_stack();
}

static void test_signal_handler_on_its_own_stack_shows_the_interrupted_function(void **state)
{
    (void)state;
    enum { STACK_BYTES = 65536 };
    stack_t stack = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES};
    stack_t none = {.ss_flags = SS_DISABLE};
    assert_non_null(stack.ss_sp);
    assert_int_equal(sigaltstack(&stack, NULL), 0);
    install(SIGILL, SA_SIGINFO | SA_ONSTACK);
    reset(OH_UNWIND_MAX);
    fault_here();
    check_interrupted_stack();
    assert_int_equal(sigaltstack(&none, NULL), 0);
    free(stack.ss_sp);
}

static void *in_thread(void *argument)
{
    recurse(4);
    NO_TAIL_CALL();
    return argument;
}

static void test_thread_ends_clean(void **state)
{
    (void)state;
    pthread_t thread;
    reset(OH_UNWIND_MAX);
    assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
    assert_true(find_frame((uint64_t)(uintptr_t)in_thread) > 0);
}

static ucontext_t main_context;
static ucontext_t other_context;

static void in_coroutine(void)
{
    recurse(3);
    NO_TAIL_CALL();
}

static void test_coroutine_ends_clean_and_its_stack_may_go(void **state)
{
    (void)state;
    enum { STACK_BYTES = 65536 };
    for (volatile int round = 0; round < 3; round++) {
        void *stack =
            mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(stack != MAP_FAILED);
        assert_int_equal(getcontext(&other_context), 0);
        other_context.uc_stack.ss_sp = stack;
        other_context.uc_stack.ss_size = STACK_BYTES;
        other_context.uc_link = &main_context;
        makecontext(&other_context, in_coroutine, 0);
        reset(OH_UNWIND_MAX);
        assert_int_equal(swapcontext(&main_context, &other_context), 0);
        assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
        assert_true(find_frame((uint64_t)(uintptr_t)in_coroutine) > 0);
        munmap(stack, STACK_BYTES);
        reset(OH_UNWIND_MAX);
        recurse(3);
        assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
    }
}

static void capture_nothing(void *argument)
{
    (void)argument;
    oh_fault_allow_no_call();
    reset(OH_UNWIND_MAX);
    _exit(0);
}

static void capture_repeatedly(void *argument)
{
    (void)argument;
    for (int round = 0; round < 4; round++) {
        if (round == 2)
            oh_fault_allow_no_call();
        reset(OH_UNWIND_MAX);
        recurse(40);
        if (last.end != OH_UNWIND_END_CLEAN)
            _exit(1);
    }
    _exit(0);
}

static void *capture_repeatedly_in_thread(void *argument)
{
    capture_repeatedly(argument);
    return NULL;
}

static void *capture_nothing_in_thread(void *argument)
{
    capture_nothing(argument);
    return NULL;
}

static void run_on_a_thread(void *(*run)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL) == 0)
        (void)pthread_join(thread, NULL);
    _exit(2);
}

static void capture_nothing_on_a_thread(void *argument)
{
    (void)argument;
    run_on_a_thread(capture_nothing_in_thread);
}

static void capture_on_a_thread(void *argument)
{
    (void)argument;
    run_on_a_thread(capture_repeatedly_in_thread);
}

static void test_capture_of_a_stack_seen_before_makes_no_system_call(void **state)
{
    (void)state;
    // A sanitizer makes system calls of its own; then nothing can be said.
    if (oh_child_run(capture_nothing, NULL) != 0 ||
        oh_child_run(capture_nothing_on_a_thread, NULL) != 0)
        skip();
    assert_int_equal(oh_child_run(capture_repeatedly, NULL), 0);
    assert_int_equal(oh_child_run(capture_on_a_thread, NULL), 0);
}

static void test_capture_keeps_errno(void **state)
{
    (void)state;
    reset(OH_UNWIND_MAX);
    errno = 11;
    oh_test_smashed(take, 8);
    assert_int_equal(errno, 11);
}

static void test_forgotten_modules_are_learnt_again(void **state)
{
    (void)state;
    reset(OH_UNWIND_MAX);
    recurse(5);
    unsigned count = last.count;
    oh_unwind_forget_modules();
    reset(OH_UNWIND_MAX);
    recurse(5);
    assert_int_equal(last.count, count);
    assert_int_equal(last.end, OH_UNWIND_END_CLEAN);
}

static int set_up(void **state)
{
    (void)state;
    oh_recall_enable();
    oh_unwind_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capture_of_recursion_has_every_frame_to_start),
        cmocka_unit_test(test_capture_deeper_than_max_is_cut_at_the_root),
        cmocka_unit_test(test_capture_with_room_for_exactly_all_is_clean),
        cmocka_unit_test(test_code_without_cfi_ends_the_stack_broken),
        cmocka_unit_test(test_smashed_frame_pointer_ends_the_stack_broken),
        cmocka_unit_test(test_smashed_frame_pointer_into_an_unreadable_page),
        cmocka_unit_test(test_frame_found_by_an_expression_is_passed),
        cmocka_unit_test(test_quick_walk_passes_what_compilers_make),
        cmocka_unit_test(test_quick_walk_passes_a_realigned_frame),
        cmocka_unit_test(test_quick_walk_stops_at_code_without_cfi),
        cmocka_unit_test(test_signal_handler_shows_the_interrupted_function),
        cmocka_unit_test(test_signal_handler_on_its_own_stack_shows_the_interrupted_function),
        cmocka_unit_test(test_thread_ends_clean),
        cmocka_unit_test(test_coroutine_ends_clean_and_its_stack_may_go),
        cmocka_unit_test(test_capture_of_a_stack_seen_before_makes_no_system_call),
        cmocka_unit_test(test_capture_keeps_errno),
        cmocka_unit_test(test_forgotten_modules_are_learnt_again),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
