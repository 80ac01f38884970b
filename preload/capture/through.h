// SPDX-License-Identifier: Apache-2.0
//
// The quick walk (quick) through stretches of C and the walk of Go's frames (unwind_go) by turns,
// to the stack's end. Of C code only the return address, the stack pointer and the frame pointer
// are known, which is all that Go's walk looks at.
//
// Threads: any, with the re-entry guard held. Only a stack that is readable is read.

#ifndef OH_CAPTURE_THROUGH_H
#define OH_CAPTURE_THROUGH_H

#include <stdbool.h>

#include "capture/frames.h"
#include "capture/readable.h"
#include "capture/registers_x86_64.h"
#include "capture/unwind.h"

// Where the walk begins.
enum oh_through_code { OH_THROUGH_C, OH_THROUGH_GO };

// Appends the address of `caller` and those of its callers, and tells in *end why it stopped.
// False: some frame needs the full walk, from the start.
bool oh_through_walk(struct oh_frames *frames, const struct oh_caller *caller,
                     enum oh_through_code code, struct oh_readable *stack, enum oh_unwind_end *end);

#endif
