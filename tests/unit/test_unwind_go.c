// SPDX-License-Identifier: Apache-2.0
//
// Walks over Go stacks that are built here, word by word, as the runtimes of Go 1.19 to 1.26 leave
// them. (Real Go programs are captured in the integration tests.)

#include "capture/unwind_go.h"

#include <string.h>

#include "support/cmocka.h"

enum {
    // The text of a runtime that does not exist. Only its addresses matter.
    TEXT = 0x10000000,
    ETEXT = TEXT + 0x10000,
    ASMCGOCALL = TEXT + 0x1000,
    CROSSCALL2 = TEXT + 0x8000,
    GOEXIT = TEXT + 0x2000,
    SYSTEMSTACK = TEXT + 0x3000,
    CGOCALLBACK = TEXT + 0x4000,
    RT0_GO = TEXT + 0x5000,
    FUNCTION_BYTES = 0x100,
    ORDINARY = TEXT + 0x9000,
    C_CODE = 0x20000000,
    STACK_WORDS = 512,
    FRAMES_MAX = 64
};

// The two stacks of a thread, and the g of the goroutine.
static uint64_t thread_stack[STACK_WORDS];
static uint64_t go_stack[STACK_WORDS];
static uint64_t g[2];

static struct oh_go_runtime runtime;
static uint64_t pcs[FRAMES_MAX];
static struct oh_frames frames;
static struct oh_registers regs;

static uint64_t at(const uint64_t *word)
{
    return (uint64_t)(uintptr_t)word;
}

static void define(enum oh_go_function function, uint64_t begin)
{
    runtime.function[function][0] = (struct oh_go_range){begin, begin + FUNCTION_BYTES};
}

static void define_runtime(bool has_frame, unsigned depth, unsigned g_offset)
{
    memset(&runtime, 0, sizeof runtime);
    runtime.text = TEXT;
    runtime.etext = ETEXT;
    runtime.moduledata = 1;
    runtime.asmcgocall_known = 1;
    runtime.asmcgocall_frame = has_frame;
    runtime.asmcgocall_depth = (uint16_t)depth;
    runtime.asmcgocall_g = (uint16_t)g_offset;
    runtime.special_begin = GOEXIT;
    runtime.special_end = RT0_GO + FUNCTION_BYTES;
    define(OH_GO_ASMCGOCALL, ASMCGOCALL);
    define(OH_GO_CROSSCALL2, CROSSCALL2);
    define(OH_GO_GOEXIT, GOEXIT);
    define(OH_GO_SYSTEMSTACK, SYSTEMSTACK);
    define(OH_GO_CGOCALLBACK, CGOCALLBACK);
    define(OH_GO_RT0_GO, RT0_GO);
    (void)oh_go_runtime_add(&runtime);
}

static int set_up(void **state)
{
    (void)state;
    memset(thread_stack, 0xee, sizeof thread_stack);
    memset(go_stack, 0xee, sizeof go_stack);
    memset(pcs, 0, sizeof pcs);
    memset(&regs, 0, sizeof regs);
    frames = (struct oh_frames){pcs, 0, FRAMES_MAX};
    g[0] = at(go_stack);
    g[1] = at(go_stack + STACK_WORDS);
    define_runtime(true, 0, 8);
    return 0;
}

static void put_record(uint64_t *word, const uint64_t *caller, uint64_t pc)
{
    word[0] = at(caller);
    word[1] = pc;
}

static enum oh_go_walk walk_from(uint64_t pc, const uint64_t *sp, const uint64_t *bp)
{
    regs.pc = pc;
    regs.after_call = true;
    regs.r[OH_REG_SP] = at(sp);
    regs.r[OH_REG_BP] = at(bp);
    struct oh_readable *stack = oh_readable_begin(at(sp));
    return oh_unwind_go(&frames, &runtime, &regs, stack);
}

// Three frames from record to the goroutine's end.
static void put_goroutine(uint64_t *record)
{
    put_record(record, record + 10, ORDINARY + 0x10);
    put_record(record + 10, record + 20, ORDINARY + 0x20);
    put_record(record + 20, NULL, GOEXIT + 1);
}

static void assert_goroutine_at(unsigned i)
{
    assert_int_equal(pcs[i], ORDINARY + 0x10);
    assert_int_equal(pcs[i + 1], ORDINARY + 0x20);
    assert_int_equal(pcs[i + 2], GOEXIT + 1);
    assert_int_equal(frames.count, i + 3);
}

static void test_asmcgocall_of_go_1_22_gives_the_goroutine(void **state)
{
    (void)state;
    uint64_t *record = go_stack + 100;
    put_goroutine(record);
    thread_stack[100] = g[1] - at(record);
    thread_stack[101] = at(g);
    // Whatever C did to the register.
    assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, (uint64_t *)0x77),
                     OH_GO_WALK_END);
    assert_int_equal(pcs[0], ASMCGOCALL + 9);
    assert_goroutine_at(1);
}

static void test_asmcgocall_of_go_1_19_gives_the_hidden_caller(void **state)
{
    (void)state;
    define_runtime(false, 40, 48);
    go_stack[90] = ORDINARY + 0x90; // The return address into cgocall.
    put_goroutine(go_stack + 100);
    thread_stack[105] = g[1] - at(go_stack + 90);
    thread_stack[106] = at(g);
    assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, go_stack + 100), OH_GO_WALK_END);
    assert_int_equal(pcs[1], ORDINARY + 0x90);
    assert_goroutine_at(2);
}

static void test_asmcgocall_on_the_system_stack_goes_on_there(void **state)
{
    (void)state;
    put_goroutine(thread_stack + 110);
    thread_stack[100] = at(thread_stack + 110);
    thread_stack[101] = 0;
    assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, thread_stack + 110),
                     OH_GO_WALK_END);
    assert_goroutine_at(1);
}

static void test_asmcgocall_with_a_senseless_frame_is_broken(void **state)
{
    (void)state;
    static const uint64_t bad_depths[] = {1, 4, UINT64_MAX, UINT64_C(1) << 40};
    put_goroutine(go_stack + 100);
    thread_stack[101] = at(g);
    for (size_t i = 0; i < sizeof bad_depths / sizeof bad_depths[0]; i++) {
        thread_stack[100] = bad_depths[i];
        frames.count = 0;
        assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, go_stack + 100),
                         OH_GO_WALK_BROKEN);
        assert_int_equal(frames.count, 1);
    }
    thread_stack[100] = g[1] - at(go_stack + 100);
    static const uint64_t bad_gs[] = {8, 4096, 0x123456789, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof bad_gs / sizeof bad_gs[0]; i++) {
        thread_stack[101] = bad_gs[i];
        assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, go_stack + 100),
                         OH_GO_WALK_BROKEN);
    }
    thread_stack[101] = at(g);
    g[0] = g[1] + 8; // The stack's bounds are the wrong way round.
    assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, go_stack + 100),
                     OH_GO_WALK_BROKEN);
    runtime.asmcgocall_known = 0;
    assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, go_stack + 100),
                     OH_GO_WALK_BROKEN);
}

// What crosscall2 keeps below its frame: bx, r12 to r15.
static void put_c_registers(uint64_t *frame)
{
    for (unsigned i = 1; i <= 5; i++)
        frame[-6 + (int)i] = 0x1000 + i;
}

static void assert_c_registers(const uint64_t *cfa)
{
    assert_int_equal(regs.r[OH_REG_BX], 0x1001);
    assert_int_equal(regs.r[OH_REG_R12], 0x1002);
    assert_int_equal(regs.r[OH_REG_R13], 0x1003);
    assert_int_equal(regs.r[OH_REG_R14], 0x1004);
    assert_int_equal(regs.r[OH_REG_R15], 0x1005);
    assert_int_equal(regs.r[OH_REG_BP], 0xbbfd7);
    assert_int_equal(regs.r[OH_REG_SP], at(cfa));
    assert_int_equal(regs.pc, C_CODE);
    assert_true(regs.after_call);
}

// A callback: Go on the goroutine's stack, cgocallback and crosscall2 on the thread's.
static void put_callback(uint64_t *frame)
{
    put_record(go_stack + 100, thread_stack + 150, CGOCALLBACK + 5);
    put_record(thread_stack + 150, frame, CROSSCALL2 + 5);
    put_c_registers(frame);
}

static void test_crosscall2_of_go_1_21_resumes_c(void **state)
{
    (void)state;
    uint64_t *frame = thread_stack + 200;
    put_callback(frame);
    frame[0] = 0xbbfd7; // The C code's own rbp: anything.
    frame[1] = C_CODE;
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, go_stack + 100), OH_GO_WALK_C);
    assert_int_equal(frames.count, 3);
    assert_int_equal(pcs[1], CGOCALLBACK + 5);
    assert_int_equal(pcs[2], CROSSCALL2 + 5);
    assert_c_registers(frame + 2);
}

static void test_crosscall2_of_go_1_22_resumes_c(void **state)
{
    (void)state;
    uint64_t *frame = thread_stack + 200;
    put_callback(frame);
    frame[0] = at(frame + 1);
    frame[1] = 0xbbfd7;
    frame[2] = C_CODE;
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, go_stack + 100), OH_GO_WALK_C);
    assert_c_registers(frame + 3);
}

static void test_crosscall2_with_an_unreadable_frame_is_broken(void **state)
{
    (void)state;
    put_callback(thread_stack + 200);
    thread_stack[150] = 0xbbfd7;
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, go_stack + 100), OH_GO_WALK_BROKEN);
}

static void test_systemstack_leads_to_the_goroutine(void **state)
{
    (void)state;
    put_goroutine(go_stack + 100);
    put_record(thread_stack + 50, go_stack + 100, SYSTEMSTACK + 5);
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, thread_stack + 50), OH_GO_WALK_END);
    assert_int_equal(pcs[1], SYSTEMSTACK + 5);
    assert_goroutine_at(2);
}

static void test_rt0_go_ends_before_the_c_code_of_the_start(void **state)
{
    (void)state;
    assert_int_equal(walk_from(RT0_GO + 5, thread_stack + 10, (uint64_t *)1), OH_GO_WALK_END);
    assert_int_equal(frames.count, 1);
}

static void test_chain_out_of_go_text_is_broken(void **state)
{
    (void)state;
    put_record(thread_stack + 50, thread_stack + 60, C_CODE);
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, thread_stack + 50),
                     OH_GO_WALK_BROKEN);
    assert_int_equal(frames.count, 1);
}

static void test_chain_that_goes_back_or_round_is_broken(void **state)
{
    (void)state;
    put_record(thread_stack + 50, thread_stack + 60, ORDINARY + 1);
    put_record(thread_stack + 60, thread_stack + 50, ORDINARY + 2);
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, thread_stack + 50),
                     OH_GO_WALK_BROKEN);
    put_record(thread_stack + 60, thread_stack + 60, ORDINARY + 2);
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, thread_stack + 50),
                     OH_GO_WALK_BROKEN);
    // Two stacks that lead to each other for ever end with the room.
    put_record(thread_stack + 60, thread_stack + 50, SYSTEMSTACK + 2);
    assert_int_equal(walk_from(ORDINARY + 1, thread_stack + 10, thread_stack + 50),
                     OH_GO_WALK_FULL);
}

static void test_frame_pointers_to_nowhere_are_broken(void **state)
{
    (void)state;
    static const uint64_t nowhere[] = {
        1, 8, 12, 4088, 0xbbfd8, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 47};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        frames.count = 0;
        assert_int_equal(
            walk_from(ORDINARY + 1, thread_stack + 10, (const uint64_t *)(uintptr_t)nowhere[i]),
            OH_GO_WALK_BROKEN);
    }
}

static void test_depth_is_told_at_every_frame(void **state)
{
    (void)state;
    for (unsigned max = 0; max < 5; max++) {
        put_goroutine(go_stack + 100);
        thread_stack[100] = g[1] - at(go_stack + 100);
        thread_stack[101] = at(g);
        frames = (struct oh_frames){pcs, 0, max};
        assert_int_equal(walk_from(ASMCGOCALL + 9, thread_stack + 100, NULL),
                         max < 4 ? OH_GO_WALK_FULL : OH_GO_WALK_END);
        assert_int_equal(frames.count, max < 4 ? max : 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_asmcgocall_of_go_1_22_gives_the_goroutine, set_up),
        cmocka_unit_test_setup(test_asmcgocall_of_go_1_19_gives_the_hidden_caller, set_up),
        cmocka_unit_test_setup(test_asmcgocall_on_the_system_stack_goes_on_there, set_up),
        cmocka_unit_test_setup(test_asmcgocall_with_a_senseless_frame_is_broken, set_up),
        cmocka_unit_test_setup(test_crosscall2_of_go_1_21_resumes_c, set_up),
        cmocka_unit_test_setup(test_crosscall2_of_go_1_22_resumes_c, set_up),
        cmocka_unit_test_setup(test_crosscall2_with_an_unreadable_frame_is_broken, set_up),
        cmocka_unit_test_setup(test_systemstack_leads_to_the_goroutine, set_up),
        cmocka_unit_test_setup(test_rt0_go_ends_before_the_c_code_of_the_start, set_up),
        cmocka_unit_test_setup(test_chain_out_of_go_text_is_broken, set_up),
        cmocka_unit_test_setup(test_chain_that_goes_back_or_round_is_broken, set_up),
        cmocka_unit_test_setup(test_frame_pointers_to_nowhere_are_broken, set_up),
        cmocka_unit_test_setup(test_depth_is_told_at_every_frame, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
