// SPDX-License-Identifier: Apache-2.0
//
// The last code that a process runs when it leaves without C's exit handlers: Go's runtime.exit
// (redirected by go_exit) and C's _exit (hooks_exit). The first thread that leaves runs a function
// of ours, with all signals blocked, on a stack of ours (the leaver's may be a goroutine's or a
// signal stack); others that leave meanwhile wait for it, bounded. Then comes the exit_group.
//
// oh_leave_arm: once, at the start. The others: any thread, any time.

#ifndef OH_HOOKS_LEAVE_H
#define OH_HOOKS_LEAVE_H

// at_end is called with the exit code and must return in bounded time. Only the calling process is
// armed: a forked or vforked child leaves without it.
void oh_leave_arm(void (*at_end)(int code));

_Noreturn void oh_leave(int code);

// Called by the stubs (go_stubs.h), on the stack of ours.
_Noreturn void oh_leave_run(int code);

#endif
