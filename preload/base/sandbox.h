// SPDX-License-Identifier: Apache-2.0
//
// Whether this process has begun to confine itself: it asked the system to take away privileges for
// good, or to filter its system calls (hooks/hooks_prctl sees that). A filter may end the process
// for a call that it does not know, and it knows those that the program makes. So from then on the
// library makes no system call that the program would not make itself: it neither asks the system
// anything (files, /proc, what a descriptor is) nor makes its recording longer. What it goes on
// doing is unwinding, which asks by rt_sigprocmask, gettid, getpid and sigaltstack, and what it maps
// for itself as malloc does.
//
// Not seen: a process that was confined when it began (what passes then passes later, too), and
// raw system calls, as Go makes them.
//
// State: down, then up for good; set before the call that confines, also when that then fails.
// Threads: any; relaxed, since the thread that confines itself (and those that it makes) sees its own
// store, and one that is not confined yet does no harm. A forked child has its parent's state.

#ifndef OH_BASE_SANDBOX_H
#define OH_BASE_SANDBOX_H

#include <stdbool.h>

// The process is about to confine itself.
void oh_sandbox_enter(void);

bool oh_sandbox_is_up(void);

#endif
