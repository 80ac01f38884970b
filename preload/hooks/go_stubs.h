// SPDX-License-Identifier: Apache-2.0
//
// What go_stubs_x86_64.S shares with go_entry.c, go_exit.c and leave.c: code that Go jumps to or
// that changes stacks, and the words that this code uses. Externs, because assembly and C must name the same words.

#ifndef OH_HOOKS_GO_STUBS_H
#define OH_HOOKS_GO_STUBS_H

#include <stdint.h>

#include "base/attr.h"

// Stands for main.main: sets oh_go_entry_flag to 1 and goes on at oh_go_entry_target.
extern const char oh_go_entry_stub[] OH_HIDDEN;
extern uint64_t oh_go_entry_target OH_HIDDEN;
extern uint64_t oh_go_entry_flag OH_HIDDEN;

// Stands for runtime.exit: blocks all signals; the first thread calls oh_leave_run (leave.h) on a
// stack of its own, another waits up to about ten seconds and then makes the exit_group itself.
extern const char oh_go_exit_stub[] OH_HIDDEN;

// The same, called from C.
_Noreturn void oh_leave_stub(int code) OH_HIDDEN;

#endif
