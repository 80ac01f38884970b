// SPDX-License-Identifier: Apache-2.0
#include "capture/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/frames.h"
#include "capture/go_runtime.h"
#include "capture/quick.h"
#include "capture/readable.h"
#include "capture/recall.h"
#include "capture/rows.h"
#include "capture/through.h"
#include "capture/unwind_c.h"
#include "capture/unwind_go.h"

enum { STATE_NEW, STATE_STARTING, STATE_READY };

// state is published with release after own_begin and own_end; oh_unwind_capture acquires it.
static uint32_t state OH_READ_MOSTLY;
static uint64_t own_begin OH_READ_MOSTLY;
static uint64_t own_end OH_READ_MOSTLY;
static void (*learn_module)(uint64_t pc);

// This library's code. A test program that contains the unwinder leaves nothing out.
static void find_own_code(void)
{
    struct oh_c_module own;
    if (oh_unwind_c_find_module((uint64_t)(uintptr_t)&find_own_code, &own) < 0)
        return;
    uint64_t program = getauxval(AT_PHDR);
    if (program >= own.begin && program < own.end)
        return;
    own_begin = own.begin;
    own_end = own.end;
}

void oh_unwind_init(void)
{
    uint32_t expected = STATE_NEW;
    if (!oh_cas32_acq_rel(&state, &expected, STATE_STARTING))
        return;
    oh_unwind_c_init();
    find_own_code();
    oh_store32_release(&state, STATE_READY);
}

void oh_unwind_forget_modules(void)
{
    uint32_t generation = oh_rows_generation();
    oh_quick_prepare(generation + 1);
    oh_rows_forget(generation);
}

void oh_unwind_on_unknown(void (*learn)(uint64_t pc))
{
    learn_module = learn;
}

// Whether pc turns out to be Go code of a module that was not known yet.
static bool is_new_go(uint64_t pc)
{
    if (!learn_module)
        return false;
    learn_module(pc);
    return oh_go_runtime_at(pc) != NULL;
}

// One step of C, or a whole stretch of Go. True: go on with the registers.
static bool step(struct oh_frames *frames, struct oh_registers *regs, struct oh_readable *stack,
                 enum oh_unwind_end *end)
{
    const struct oh_go_runtime *runtime = oh_go_runtime_at(regs->pc);
    if (runtime) {
        enum oh_go_walk rc = oh_unwind_go(frames, runtime, regs, stack);
        *end = oh_unwind_go_end(rc);
        return rc == OH_GO_WALK_C;
    }
    unsigned before = frames->count;
    bool own = regs->pc - own_begin < own_end - own_begin;
    if (!own && !oh_frames_add(frames, regs->pc + (regs->after_call ? 0 : 1))) {
        *end = OH_UNWIND_END_DEPTH;
        return false;
    }
    uint64_t pc = regs->pc;
    switch (oh_unwind_c_step(regs, stack)) {
    case OH_C_STEP_FRAME: return true;
    case OH_C_STEP_END: *end = OH_UNWIND_END_CLEAN; return false;
    case OH_C_STEP_BROKEN: break;
    }
    *end = OH_UNWIND_END_BROKEN;
    if (regs->pc != pc || !is_new_go(pc))
        return false;
    frames->count = before;
    return true;
}

bool oh_unwind_recall(const struct oh_caller *caller, unsigned max, struct oh_recall *recall,
                      struct oh_recalled *recalled)
{
    return oh_load32_acquire(&state) == STATE_READY &&
           caller->pc - own_begin >= own_end - own_begin &&
           oh_recall_walk(recall, caller, oh_readable_begin(caller->sp), max, recalled);
}

unsigned oh_unwind_capture(const struct oh_caller *caller, uint64_t *pcs, unsigned max,
                           enum oh_unwind_end *end)
{
    *end = OH_UNWIND_END_BROKEN;
    if (oh_load32_acquire(&state) != STATE_READY)
        return 0;
    struct oh_frames frames = {pcs, 0, max < OH_UNWIND_MAX ? max : OH_UNWIND_MAX};
    if (caller && oh_likely(caller->pc - own_begin >= own_end - own_begin) &&
        oh_likely(
            oh_through_walk(&frames, caller, OH_THROUGH_C, oh_readable_begin(caller->sp), end)))
        return frames.count;
    struct oh_registers regs;
    oh_registers_here(&regs);
    struct oh_readable *stack = oh_readable_begin(regs.r[OH_REG_SP]);
    frames.count = 0;
    while (step(&frames, &regs, stack, end))
        continue;
    return frames.count;
}
