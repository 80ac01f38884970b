// SPDX-License-Identifier: Apache-2.0
//
// Calls one function in a thread of a live process, by ptrace. The only code of the command that
// touches a process; used when the user asks for it (--trim).
//
// What makes it safe: the thread is one that waits in a system call which no allocator makes while it
// holds a lock, on a thread's own stack with room below; only that thread is stopped; a signal that
// comes meanwhile is passed on. The function returns into a signal frame (remote_frame), from which
// the thread restores all of its registers by itself. So the caller may be killed at any moment, and
// may go away while the function waits for a lock: the thread finishes alone. When the caller sees
// the end of it, the system call goes on as if nothing had been; else it begins anew, or is
// interrupted (EINTR) as by a signal.

#ifndef OH_PROCESS_REMOTE_CALL_H
#define OH_PROCESS_REMOTE_CALL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { OH_REMOTE_ARGUMENTS = 5 };

struct oh_remote_call {
    uint64_t function;
    uint64_t restorer; // Address of code that makes the system call rt_sigreturn.
    uint64_t arguments[OH_REMOTE_ARGUMENTS];
    int limit_ms;     // How long one stretch of it without a system call may take.
    const char *text; // Copied onto the stack; its address is the first argument. May be NULL.
};

// Where the thread stands: asked of each candidate while it is stopped. arg is the caller's.
typedef int oh_remote_check_fn(void *arg, uint64_t stack_pointer, uint64_t pc);

// Tries the threads of the process until one is fit and the call returns. check: 0 when a thread at
// this place may be used. 0: it has returned; -EPERM: may not be traced; -EBUSY: no thread is fit now;
// -ETIMEDOUT: it waits for a lock, and was left to finish alone; -ESRCH; -ENOSYS: not on this machine.
int oh_remote_call(pid_t pid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                   void *arg);

#endif
