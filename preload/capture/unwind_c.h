// SPDX-License-Identifier: Apache-2.0
//
// One step up the stack of C code, by the module's call frame information. The rows come from a
// table of ours (rows); on a miss, and for steps that need expressions, libunwind reads them. Each
// row that is used is made known to the quick walk (quick), which needs it the next time.
//
// libunwind is our own build (preload/capture/libunwind/*.patch): it asks this file for the
// module of an address and for every word of the stack, holds no lock and opens nothing.
// Threads: any, with the re-entry guard held; not in a forked child.

#ifndef OH_CAPTURE_UNWIND_C_H
#define OH_CAPTURE_UNWIND_C_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/readable.h"
#include "capture/registers_x86_64.h"

enum oh_c_step {
    OH_C_STEP_FRAME, // The registers are the caller's.
    OH_C_STEP_END,   // The frame was the outermost one.
    OH_C_STEP_BROKEN // The caller cannot be found.
};

// Where an address's module is mapped, and its binary search table of call frame information. The
// table is what tells two modules apart: of one whose segments have holes between them (lld makes
// such, and a page size over 4 KiB) the C library gives the range of the address's segment alone.
struct oh_c_module {
    uint64_t begin;
    uint64_t end;
    uint64_t eh_frame_hdr;
};

// Once, before the first step; not concurrently with itself or with steps.
void oh_unwind_c_init(void);

// The module of an address, by the C library's _dl_find_object, which takes no lock. 0, or -ENOENT
// when no module is there or it has no table, or -ENOSYS with a C library that cannot tell (glibc
// before 2.35, musl): there, stacks end at their first frame.
int oh_unwind_c_find_module(uint64_t pc, struct oh_c_module *module);

// Whether both addresses lie in one module, in whichever of its segments; not when that cannot be
// told.
bool oh_unwind_c_is_one_module(uint64_t address, uint64_t other);

// The registers of the caller, from those of the frame. Registers that the frame neither saved
// nor kept are left as they are. Unchanged where there is no call frame information; of no use
// after another broken step.
enum oh_c_step oh_unwind_c_step(struct oh_registers *regs, struct oh_readable *stack);

#endif
