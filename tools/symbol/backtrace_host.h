// SPDX-License-Identifier: Apache-2.0
//
// What libbacktrace gets for the functions of the process that it is made for: the loader's list of
// modules, a sort, and memory. They are replaced when the command is linked (CMakeLists.txt), and
// work for one host at a time, from enter to leave: one thread at a time. Outside of that, the
// loader's list is the real one, and libbacktrace is not called.
//
// Elsewhere: what libbacktrace is asked (csym).

#ifndef OH_SYMBOL_BACKTRACE_HOST_H
#define OH_SYMBOL_BACKTRACE_HOST_H

// Stands before each block that libbacktrace holds.
struct oh_backtrace_held {
    struct oh_backtrace_held *next;
    struct oh_backtrace_held *previous;
};

struct oh_backtrace_host {
    struct oh_backtrace_held held; // The head of its list, a ring: init, before anything else.
};

void oh_backtrace_host_init(struct oh_backtrace_host *host);
// Frees what libbacktrace holds: what it was asked for is gone.
void oh_backtrace_host_fini(struct oh_backtrace_host *host);

// Around each call of libbacktrace.
void oh_backtrace_host_enter(struct oh_backtrace_host *host);
void oh_backtrace_host_leave(void);

#endif
