// SPDX-License-Identifier: Apache-2.0
#include "capture/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "capture/go_runtime.h"
#include "capture/readable.h"
#include "capture/rows.h"
#include "capture/unwind_c.h"
#include "capture/unwind_go.h"

enum { STATE_NEW, STATE_STARTING, STATE_READY };

// state is published with release after own_begin and own_end; oh_unwind_capture acquires it.
static uint32_t state;
static uint64_t own_begin;
static uint64_t own_end;

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
    oh_rows_forget();
}

static enum oh_unwind_end walk(struct oh_frames *frames, struct oh_registers *regs,
                               struct oh_readable *stack)
{
    for (;;) {
        const struct oh_go_runtime *runtime = oh_go_runtime_at(regs->pc);
        if (runtime) {
            switch (oh_unwind_go(frames, runtime, regs, stack)) {
            case OH_GO_WALK_C: continue;
            case OH_GO_WALK_END: return OH_UNWIND_END_CLEAN;
            case OH_GO_WALK_FULL: return OH_UNWIND_END_DEPTH;
            case OH_GO_WALK_BROKEN: return OH_UNWIND_END_BROKEN;
            }
        }
        bool own = regs->pc - own_begin < own_end - own_begin;
        if (!own && !oh_frames_add(frames, regs->pc + (regs->after_call ? 0 : 1)))
            return OH_UNWIND_END_DEPTH;
        switch (oh_unwind_c_step(regs, stack)) {
        case OH_C_STEP_FRAME: break;
        case OH_C_STEP_END: return OH_UNWIND_END_CLEAN;
        case OH_C_STEP_BROKEN: return OH_UNWIND_END_BROKEN;
        }
    }
}

unsigned oh_unwind_capture(uint64_t *pcs, unsigned max, enum oh_unwind_end *end)
{
    *end = OH_UNWIND_END_BROKEN;
    if (oh_load32_acquire(&state) != STATE_READY)
        return 0;
    struct oh_frames frames = {pcs, 0, max < OH_UNWIND_MAX ? max : OH_UNWIND_MAX};
    struct oh_registers regs;
    oh_registers_here(&regs);
    struct oh_readable *stack = oh_readable_begin(regs.r[OH_REG_SP]);
    *end = walk(&frames, &regs, stack);
    return frames.count;
}
