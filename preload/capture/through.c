// SPDX-License-Identifier: Apache-2.0
#include "capture/through.h"

#include <stddef.h>

#include "capture/go_runtime.h"
#include "capture/quick.h"
#include "capture/unwind_go.h"

// A whole stretch of Go, from the frame at which the quick walk stopped, if it is Go's. True: go
// on.
static bool pass_go(struct oh_frames *frames, struct oh_caller *at, struct oh_readable *stack,
                    enum oh_unwind_end *end, bool *done)
{
    const struct oh_go_runtime *runtime = oh_go_runtime_at(at->pc);
    *done = runtime != NULL;
    if (!runtime)
        return false;
    struct oh_registers regs = {.pc = at->pc, .after_call = true};
    regs.r[OH_REG_SP] = at->sp;
    regs.r[OH_REG_BP] = at->bp;
    enum oh_go_walk rc = oh_unwind_go(frames, runtime, &regs, stack);
    *end = oh_unwind_go_end(rc);
    *at = (struct oh_caller){regs.pc, regs.r[OH_REG_SP], regs.r[OH_REG_BP]};
    return rc == OH_GO_WALK_C;
}

bool oh_through_walk(struct oh_frames *frames, const struct oh_caller *caller,
                     enum oh_through_code code, struct oh_readable *stack, enum oh_unwind_end *end)
{
    struct oh_caller at = *caller;
    bool done;
    if (code == OH_THROUGH_GO && !pass_go(frames, &at, stack, end, &done))
        return done;
    do {
        switch (oh_quick_walk(frames, &at, stack)) {
        case OH_QUICK_END: *end = OH_UNWIND_END_CLEAN; return true;
        case OH_QUICK_FULL: *end = OH_UNWIND_END_DEPTH; return true;
        case OH_QUICK_STOP: break;
        }
    } while (pass_go(frames, &at, stack, end, &done));
    return done;
}
