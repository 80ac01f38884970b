// SPDX-License-Identifier: Apache-2.0
//
// What a thread remembers of its last stack, against the full walk: very many stacks that a program
// of odd frames makes in a random order, with jumps out of them and words of them overwritten. (How
// the memory is handed on from thread to thread: stress_recall.)

#include "capture/recall.h"

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "base/attr.h"
#include "capture/unwind.h"
#include "offheap/hash.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"

// In unwind_frames.S.
void oh_test_by_expression(void (*callback)(void));

#define NOINLINE __attribute__((noinline))
#define WITHOUT_FRAME_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
// Keeps a call from being the last thing that a function does.
#define NO_TAIL_CALL() __asm__ volatile("" : : : "memory")

enum { DEPTH_MAX = 40, SCRIBBLES = 16 };

static struct {
    uint64_t random;
    unsigned depth;
    unsigned captures;
    unsigned recalled;
    unsigned scribbled;
    uint64_t root; // Stack pointer of the first frame.
    jmp_buf out;
} run;

static uint64_t draw(uint64_t below)
{
    run.random ^= run.random << 13;
    run.random ^= run.random >> 7;
    run.random ^= run.random << 17;
    return (run.random >> 16) % below;
}

static struct oh_recall *memory(void)
{
    struct oh_recall *recall = oh_recall_mine();
    for (int i = 0; recall == NULL && i < 1000; i++)
        recall = oh_recall_mine();
    assert_non_null(recall);
    return recall;
}

// Captures in both ways; the stack must be the same when it was remembered.
static bool compare(const struct oh_caller *caller, unsigned max)
{
    uint64_t pcs[OH_UNWIND_MAX];
    enum oh_unwind_end end;
    struct oh_recalled recalled;
    struct oh_recall *recall = memory();
    run.captures++;
    bool done = oh_unwind_recall(caller, max, recall, &recalled);
    unsigned count = oh_unwind_capture(NULL, pcs, OH_UNWIND_MAX, &end);
    if (!done)
        return false;
    run.recalled++;
    unsigned first = 0;
    while (first < count && pcs[first] != caller->pc)
        first++;
    assert_int_equal(end, OH_UNWIND_END_CLEAN);
    assert_int_equal(recalled.depth, count - first);
    assert_true(recalled.depth <= max);
    assert_memory_equal(recalled.pcs, pcs + first, (count - first) * sizeof *pcs);
    assert_true(recalled.frames == oh_hash_frames(recalled.pcs, recalled.depth));
    oh_recall_end(recall);
    return true;
}

// Changes a word of the stack for the time of one capture.
static OH_READS_FOREIGN void scribble(const struct oh_caller *caller)
{
    uint64_t words = (run.root - caller->sp) / sizeof(uint64_t);
    for (int i = 0; i < SCRIBBLES; i++) {
        volatile uint64_t *word = (uint64_t *)(uintptr_t)caller->sp + draw(words);
        const volatile uint64_t *other = (uint64_t *)(uintptr_t)caller->sp + draw(words);
        uint64_t saved = *word;
        *word = draw(4) == 0 ? draw(UINT64_MAX) : draw(2) == 0 ? *other : saved + 8 * draw(32);
        run.scribbled += compare(caller, OH_RECALL_FRAMES);
        *word = saved;
    }
}

static NOINLINE void look(void)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    (void)compare(&caller, OH_RECALL_FRAMES);
    if (draw(8) == 0)
        (void)compare(&caller, 1 + (unsigned)draw(60));
    if (draw(8) == 0)
        scribble(&caller);
    NO_TAIL_CALL();
}

static void go_on(void);

static NOINLINE void plain(void)
{
    go_on();
    NO_TAIL_CALL();
}

static WITHOUT_FRAME_POINTER void without_frame_pointer(void)
{
    volatile uint64_t words[5] = {run.random};
    go_on();
    words[0]++;
}

static WITHOUT_FRAME_POINTER void looping_in_a_saved_register(void)
{
    for (uint64_t i = draw(3), n = 3 + i; i < n; i++) {
        __asm__ volatile("" : "+r"(i) : : "rbx", "r12", "r13", "r14", "r15", "memory");
        go_on();
    }
}

static NOINLINE void with_alloca(void)
{
    char *room = alloca(16 + draw(3) * 64);
    room[0] = 1;
    go_on();
    __asm__ volatile("" : : "r"(room) : "memory");
}

static NOINLINE void realigned(void)
{
    _Alignas(64) char line[64];
    char *room = alloca(16 + draw(3) * 64);
    room[0] = line[0] = 1;
    go_on();
    __asm__ volatile("" : : "r"(room), "r"(line) : "memory");
}

static NOINLINE void by_expression(void)
{
    oh_test_by_expression(go_on);
    NO_TAIL_CALL();
}

static NOINLINE void go_on(void)
{
    static void (*const ways[])(void) = {plain,       without_frame_pointer,
                                         realigned,   looping_in_a_saved_register,
                                         with_alloca, by_expression};
    if (run.captures > 400000 || ++run.depth > DEPTH_MAX)
        longjmp(run.out, 1);
    unsigned calls = (unsigned)draw(4);
    unsigned depth = run.depth;
    for (unsigned i = 0; i < calls; i++) {
        look();
        run.depth = depth;
        ways[draw(sizeof ways / sizeof *ways)]();
        look();
    }
    if (draw(50) == 0)
        longjmp(run.out, 1);
    NO_TAIL_CALL();
}

static void test_recalled_stacks_are_the_stacks(void **state)
{
    (void)state;
    run.random = 88172645463325252U;
    run.root = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    (void)setjmp(run.out);
    run.depth = 0;
    while (run.captures < 60000) {
        run.depth = 0;
        go_on();
    }
    print_message("%u captures, %u of them from memory, %u with a word overwritten\n", run.captures,
                  run.recalled, run.scribbled);
    assert_true(run.recalled > run.captures / 4);
    assert_true(run.scribbled > 1000);
}

// As a recorder does it: what is not remembered is walked in full, and thereby learnt.
static NOINLINE bool look_again(struct oh_recalled *recalled)
{
    uint64_t pcs[OH_UNWIND_MAX];
    enum oh_unwind_end end;
    struct oh_caller caller;
    oh_caller_here(&caller);
    struct oh_recall *recall = memory();
    bool done = oh_unwind_recall(&caller, OH_RECALL_FRAMES, recall, recalled);
    if (done)
        oh_recall_end(recall); // No other thread could take it.
    else
        (void)oh_unwind_capture(NULL, pcs, OH_UNWIND_MAX, &end);
    NO_TAIL_CALL();
    return done;
}

static void test_note_holds_for_the_same_stack_only(void **state)
{
    (void)state;
    struct oh_recalled recalled;
    for (int i = 0; i < 200; i++) {
        bool done = look_again(&recalled);
        assert_true(done || i < 190);
        if (i > 190)
            assert_int_equal(recalled.note->stack, 7);
        if (done)
            recalled.note->stack = 7;
    }
    bool done = false;
    for (int i = 0; i < 200; i++)
        done = look_again(&recalled);
    assert_true(done);
    assert_int_equal(recalled.note->stack, 0);
}

static void test_forgotten_modules_are_not_recalled(void **state)
{
    (void)state;
    struct oh_recalled recalled;
    unsigned done = 0, forgotten = 0;
    for (int i = 0; i < 400; i++) {
        done = look_again(&recalled) ? done + 1 : 0;
        if (done < 3)
            continue;
        oh_unwind_forget_modules();
        assert_false(look_again(&recalled));
        forgotten++;
    }
    assert_true(forgotten >= 3);
}

static void *remember(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        if (oh_recall_mine() != NULL)
            return &run;
    return NULL;
}

// More threads than there are slots, one after the other, under a sandbox that lets a process send
// signals to threads of its own at most.
static void run_threads_in_a_sandbox(void *unused)
{
    enum { THREADS = 200 };
    (void)unused;
    oh_recall_enable(); // A process of its own.
    oh_fault_fail_call(SYS_tkill, EPERM);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        void *remembered;
        oh_require(pthread_create(&thread, NULL, remember, NULL) == 0);
        oh_require(pthread_join(thread, &remembered) == 0);
        oh_require(remembered != NULL);
    }
}

static void test_slots_of_ended_threads_are_found_in_a_sandbox(void **state)
{
    (void)state;
    oh_child_must_pass(run_threads_in_a_sandbox, NULL);
}

enum { COROUTINE_BYTES = 64 << 10, THREAD_BYTES = 1 << 20 };

static struct {
    char *stacks; // Two of coroutines, and above them the thread's.
    ucontext_t thread;
    unsigned recalled;
} coroutines;

static void look_often(void)
{
    struct oh_recalled recalled;
    for (int i = 0; i < 300; i++)
        coroutines.recalled += look_again(&recalled);
}

static void run_coroutine(int number)
{
    ucontext_t coroutine;
    oh_require(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = coroutines.stacks + (ptrdiff_t)number * COROUTINE_BYTES;
    coroutine.uc_stack.ss_size = COROUTINE_BYTES;
    coroutine.uc_link = &coroutines.thread;
    makecontext(&coroutine, look_often, 0);
    oh_require(swapcontext(&coroutines.thread, &coroutine) == 0);
}

// The lower coroutine runs first, so that all is taken for the thread's own stack.
static void *run_coroutines(void *unused)
{
    look_often();
    run_coroutine(0);
    run_coroutine(1);
    oh_require(coroutines.recalled > 600);
    oh_require(munmap(coroutines.stacks + COROUTINE_BYTES, COROUTINE_BYTES) == 0);
    run_coroutine(0);
    return unused;
}

static void run_without_guard_pages(void *unused)
{
    const size_t bytes = 2 * COROUTINE_BYTES + THREAD_BYTES;
    pthread_attr_t attributes;
    pthread_t thread;
    (void)unused;
    oh_recall_enable(); // A process of its own.
    void *stacks = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    oh_require(stacks != MAP_FAILED);
    coroutines.stacks = stacks;
    oh_require(pthread_attr_init(&attributes) == 0);
    oh_require(pthread_attr_setstack(&attributes, coroutines.stacks + 2 * COROUTINE_BYTES,
                                     THREAD_BYTES) == 0);
    oh_require(pthread_create(&thread, &attributes, run_coroutines, NULL) == 0);
    oh_require(pthread_join(thread, NULL) == 0);
}

static void test_stack_that_is_gone_is_not_read(void **state)
{
    (void)state;
    oh_child_must_pass(run_without_guard_pages, NULL);
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
        cmocka_unit_test(test_recalled_stacks_are_the_stacks),
        cmocka_unit_test(test_note_holds_for_the_same_stack_only),
        cmocka_unit_test(test_forgotten_modules_are_not_recalled),
        cmocka_unit_test(test_slots_of_ended_threads_are_found_in_a_sandbox),
        cmocka_unit_test(test_stack_that_is_gone_is_not_read),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
