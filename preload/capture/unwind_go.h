// SPDX-License-Identifier: Apache-2.0
//
// The part of a stack that is Go, by frame pointers: from the first return address in Go's text to
// the goroutine's end, or to the C code that called into Go.
//
// What makes this more than a chain of frame pointers, all seen in Go 1.19 to 1.26:
// - runtime.asmcgocall runs C on the thread's stack and keeps, in its frame there, the g and how
//   deep the goroutine's stack was. From both we get the goroutine's own frame pointer, whatever
//   the C code did to the register, and the bounds of the stack.
// - Up to Go 1.20 asmcgocall has no frame pointer record, and its caller is found on the
//   goroutine's stack; so is the caller's record, since the frame pointer that C kept is of an
//   earlier stack when the goroutine's moved during a callback.
// - crosscall2 is Go's code with C's registers: it keeps them all in its frame, in two layouts,
//   and C's own unwinding can go on from there. The same holds for the signal trampoline.
// - The chain goes from one stack to another where the runtime does, in either direction.
//
// Threads: any, with the re-entry guard held. Every read is checked.

#ifndef OH_CAPTURE_UNWIND_GO_H
#define OH_CAPTURE_UNWIND_GO_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/frames.h"
#include "capture/go_runtime.h"
#include "capture/readable.h"
#include "capture/registers_x86_64.h"
#include "capture/unwind.h"

enum oh_go_walk {
    OH_GO_WALK_C,      // C called Go: the registers are those of the C code, to go on with.
    OH_GO_WALK_END,    // The goroutine's, or the thread's, outermost function.
    OH_GO_WALK_FULL,   // No room for the next address.
    OH_GO_WALK_BROKEN, // The chain left Go's text, or readable memory.
};

// Why the whole walk ended, when it ended with that.
static inline enum oh_unwind_end oh_unwind_go_end(enum oh_go_walk walk)
{
    return walk == OH_GO_WALK_END    ? OH_UNWIND_END_CLEAN
           : walk == OH_GO_WALK_FULL ? OH_UNWIND_END_DEPTH
                                     : OH_UNWIND_END_BROKEN;
}

// Whether a walk that begins at pc, a return address in runtime's text, depends on the frame
// pointer there.
bool oh_unwind_go_needs_bp(const struct oh_go_runtime *runtime, uint64_t pc);

// regs->pc is in runtime's text. Appends it and the callers' addresses.
enum oh_go_walk oh_unwind_go(struct oh_frames *frames, const struct oh_go_runtime *runtime,
                             struct oh_registers *regs, struct oh_readable *stack);

#endif
