// SPDX-License-Identifier: Apache-2.0
//
// The quick walk against the full one: one step from each of very many addresses of the libraries
// that are loaded here, with registers and a stack that are made up, must give the same in both.

#include "capture/quick.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "capture/unwind.h"
#include "capture/unwind_c.h"
#include "support/cmocka.h"
#include "support/quick.h"

enum { STACK_WORDS = 4096, STEP_BYTES = 11 };

struct sweep {
    struct oh_readable *stack;
    const uint64_t *words;
    unsigned steps;
    unsigned quick;
    unsigned by_bp;
    unsigned realigned;
    unsigned ends;
    unsigned broken;
};

// A walk of one frame: the address found behind it is made up, so that it stops there.
static enum oh_quick_end quick_step(const struct sweep *sweep, struct oh_caller *at)
{
    uint64_t pc;
    struct oh_frames frames = {&pc, 0, 1};
    enum oh_quick_end end = oh_quick_walk(&frames, at, sweep->stack);
    return end == OH_QUICK_FULL || (end == OH_QUICK_STOP && frames.count == 1) ? OH_QUICK_FULL
                                                                               : end;
}

static void check_step(struct sweep *sweep, uint64_t pc)
{
    uint64_t sp = (uint64_t)(uintptr_t)&sweep->words[64];
    struct oh_caller at = {pc, sp, sp + 2048};
    struct oh_registers regs = {.pc = pc, .after_call = true};
    for (unsigned i = 0; i < OH_REG_SAVED_COUNT; i++)
        regs.r[i] = sp + 1024;
    regs.r[OH_REG_SP] = at.sp;
    regs.r[OH_REG_BP] = at.bp;
    enum oh_c_step step = oh_unwind_c_step(&regs, sweep->stack);
    enum oh_quick_end end = quick_step(sweep, &at);
    struct oh_row_key key = {pc, true, oh_rows_generation()};
    union oh_row row;
    assert_true(oh_rows_find(&key, &row));
    sweep->steps++;
    sweep->broken += step == OH_C_STEP_BROKEN;
    if (end == OH_QUICK_STOP)
        return;
    sweep->quick++;
    sweep->by_bp += row.kind == OH_ROW_PLAIN && row.cfa_register == OH_REG_BP;
    sweep->realigned += row.kind == OH_ROW_REALIGNED;
    sweep->ends += end == OH_QUICK_END;
    assert_int_equal(step, end == OH_QUICK_END ? OH_C_STEP_END : OH_C_STEP_FRAME);
    if (end == OH_QUICK_END)
        return;
    assert_true(at.pc == regs.pc);
    assert_true(at.sp == regs.r[OH_REG_SP]);
    assert_true(at.bp == regs.r[OH_REG_BP]);
}

static int sweep_module(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    struct sweep *sweep = argument;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || (ph->p_flags & PF_X) == 0)
            continue;
        uint64_t begin = info->dlpi_addr + ph->p_vaddr;
        for (uint64_t at = 1; at < ph->p_memsz; at += STEP_BYTES)
            check_step(sweep, begin + at);
    }
    return 0;
}

static void test_quick_step_is_the_full_step_all_over_the_libraries(void **state)
{
    (void)state;
    static const char *const more[] = {"libstdc++.so.6", "libm.so.6", "libgmp.so.10"};
    uint64_t words[STACK_WORDS];
    struct sweep sweep = {.words = words};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        (void)dlopen(more[i], RTLD_NOW);
    sweep.stack = oh_readable_begin((uint64_t)(uintptr_t)&words[64]);
    for (unsigned i = 0; i < STACK_WORDS; i++)
        words[i] = (uint64_t)(uintptr_t)&words[(i * 37 + 2048) % STACK_WORDS];
    dl_iterate_phdr(sweep_module, &sweep);
    print_message("%u steps, %u of them quick: %u by the frame pointer, %u realigned, %u ends\n",
                  sweep.steps, sweep.quick, sweep.by_bp, sweep.realigned, sweep.ends);
    assert_true(sweep.steps > 100000);
    assert_true(sweep.quick > (sweep.steps - sweep.broken) / 100 * 90);
    assert_true(sweep.by_bp > 1000);
}

// --- The table

static struct oh_row_key key_of(uint64_t pc)
{
    return (struct oh_row_key){pc, true, oh_rows_generation()};
}

static union oh_row row_of(int32_t offset)
{
    return (union oh_row){.cfa_offset = offset, .cfa_register = OH_REG_SP, .kind = OH_ROW_PLAIN};
}

static void test_inserted_row_is_found_at_its_address_only(void **state)
{
    (void)state;
    struct oh_row_key key = key_of(0x7ffff7001234);
    union oh_row row = row_of(48);
    assert_int_equal(oh_quick_bytes_of(key.pc), 0);
    oh_quick_insert(&key, &row);
    assert_int_equal(oh_quick_bytes_of(key.pc), 48);
    assert_int_equal(oh_quick_bytes_of(key.pc + 1), 0);
    assert_int_equal(oh_quick_bytes_of(key.pc ^ UINT64_C(1) << 46), 0);
}

static void test_row_that_does_not_fit_is_not_stored(void **state)
{
    (void)state;
    static const int32_t offsets[] = {0, -8, 12, 32768, INT32_MAX, INT32_MIN};
    struct oh_row_key key = key_of(0x5000);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        union oh_row row = row_of(offsets[i]);
        oh_quick_insert(&key, &row);
        assert_int_equal(oh_quick_bytes_of(key.pc), 0);
    }
    union oh_row by_bx = row_of(16);
    by_bx.cfa_register = OH_REG_BX;
    oh_quick_insert(&key, &by_bx);
    union oh_row far = row_of(16);
    far.saved[OH_REG_BP] = -32;
    oh_quick_insert(&key, &far);
    union oh_row above = row_of(16);
    above.saved[OH_REG_BP] = 1;
    oh_quick_insert(&key, &above);
    union oh_row plain = row_of(16);
    struct oh_row_key interrupted = {key.pc, false, key.generation};
    oh_quick_insert(&interrupted, &plain);
    assert_int_equal(oh_quick_bytes_of(key.pc), 0);
}

static void test_forgotten_row_is_not_found_in_any_later_generation(void **state)
{
    (void)state;
    struct oh_row_key old = key_of(0x6000);
    union oh_row row = row_of(64);
    oh_quick_insert(&old, &row);
    for (int i = 0; i < 3 * OH_QUICK_GENERATIONS; i++) {
        oh_unwind_forget_modules();
        assert_int_equal(oh_quick_bytes_of(old.pc), 0);
        // A row whose making began before: its module may be gone.
        oh_quick_insert(&old, &row);
        assert_int_equal(oh_quick_bytes_of(old.pc), 0);
    }
    struct oh_row_key now = key_of(old.pc);
    oh_quick_insert(&now, &row);
    assert_int_equal(oh_quick_bytes_of(old.pc), 64);
}

static void test_many_rows_are_kept_and_none_is_taken_for_another(void **state)
{
    (void)state;
    enum { ROWS = 4000, STEP = 37 };
    for (int i = 0; i < ROWS; i++) {
        struct oh_row_key key = key_of(UINT64_C(0x7fff00000000) + (uint64_t)i * STEP);
        union oh_row row = row_of((i % 100 + 1) * 8);
        oh_quick_insert(&key, &row);
    }
    unsigned kept = 0;
    for (int i = 0; i < ROWS; i++) {
        uint64_t bytes = oh_quick_bytes_of(UINT64_C(0x7fff00000000) + (uint64_t)i * STEP);
        if (bytes == 0)
            continue;
        assert_int_equal(bytes, (i % 100 + 1) * 8);
        kept++;
    }
    // A quarter of the table: the rows find places beside each other.
    assert_true(kept > ROWS - ROWS / 50);
}

static int set_up(void **state)
{
    (void)state;
    oh_unwind_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inserted_row_is_found_at_its_address_only),
        cmocka_unit_test(test_row_that_does_not_fit_is_not_stored),
        cmocka_unit_test(test_forgotten_row_is_not_found_in_any_later_generation),
        cmocka_unit_test(test_many_rows_are_kept_and_none_is_taken_for_another),
        cmocka_unit_test(test_quick_step_is_the_full_step_all_over_the_libraries),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
