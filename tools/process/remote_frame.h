// SPDX-License-Identifier: Apache-2.0
//
// What stands on a thread's stack while a function is called in it: a signal frame, to which the
// function returns. The thread then makes the system call rt_sigreturn by itself, by which the kernel
// gives it back all of its registers. So whoever had it make the call may vanish at any moment.
//
// Pure: builds bytes. Elsewhere: stopping the thread, and the call (remote_call).

#ifndef OH_PROCESS_REMOTE_FRAME_H
#define OH_PROCESS_REMOTE_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

enum {
    OH_REMOTE_TEXT_BYTES = 64,
    OH_REMOTE_XSTATE_BYTES = 16384, // More than any processor has today.
    OH_REMOTE_FRAME_BYTES = 20480
};

// A thread in a stop inside of a system call, as it is.
struct oh_remote_state {
    struct user_regs_struct regs;
    uint8_t xstate[OH_REMOTE_XSTATE_BYTES]; // NT_X86_XSTATE: floating point and vectors.
    size_t xstate_bytes;
    uint64_t blocked; // Its signal mask.
};

struct oh_remote_frame {
    uint8_t bytes[OH_REMOTE_FRAME_BYTES];
    size_t size;
    uint64_t address; // Of the first byte, where the return address of the function is.
    uint64_t text;    // Address of the copied text.
};

// restorer: the address of code that makes the system call rt_sigreturn. text: copied; may be NULL.
void oh_remote_frame_build(const struct oh_remote_state *state, uint64_t restorer, const char *text,
                           struct oh_remote_frame *frame);

// The registers with which the thread goes on when nobody puts its own back: its system call begins
// anew, or has been interrupted, as after a signal.
struct user_regs_struct oh_remote_frame_after(const struct user_regs_struct *regs);

#endif
