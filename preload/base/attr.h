// SPDX-License-Identifier: Apache-2.0
//
// Compiler attributes and branch hints, each under one name.

#ifndef OH_BASE_ATTR_H
#define OH_BASE_ATTR_H

#define OH_EXPORT __attribute__((visibility("default")))
#define OH_HIDDEN __attribute__((visibility("hidden")))
#define OH_COLD __attribute__((cold))
#define OH_NOINLINE __attribute__((noinline))
// The functions of every allocation and every free: each begins a cache line of code and fits into
// it.
#define OH_ONE_LINE __attribute__((aligned(64)))
#define OH_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

// On the functions by which the host's code enters more than a few instructions of ours:
// hand-written assembly, generated code and coroutines may call with a stack pointer that is off by
// 8. libc's malloc does not mind as a rule; our aligned stores would end the host. Not on a fast
// path: it has no such store, and leaves the stack as it is for the real function.
#define OH_REALIGN __attribute__((force_align_arg_pointer))

// On what the hooks do when a call does not pass. Not OH_COLD, by which the compiler also saves
// space in it and in all that it takes into it: in exact mode that is every call.
#define OH_SLOW OH_NOINLINE OH_REALIGN

// On the type of a variable that has its cache lines to itself, so that who reads it often does not
// wait for who writes its neighbour (tests/lint/layout.sh looks at the result).
#define OH_OWN_LINES __attribute__((aligned(64)))

// On a variable that every recorded event reads, in all threads, and that hardly anything writes after
// the start: they lie together, in a section of their own, and not beside what is written. Those that
// are too large for that, or are written in part, have lines to themselves.
#define OH_READ_MOSTLY __attribute__((section("oh_read_mostly")))

// On functions that read stacks and other modules' data as plain bytes, the gaps between objects
// too: AddressSanitizer does not judge what they read themselves.
#define OH_READS_FOREIGN __attribute__((no_sanitize("address")))

// Only on the branch that leaves for a slow path.
#define oh_likely(condition) __builtin_expect(!!(condition), 1)
#define oh_unlikely(condition) __builtin_expect(!!(condition), 0)

// Begins to load a line that is going to be written: never faults, wherever it points. The empty
// statement keeps it: gcc takes a function that does nothing but prefetch for one without effect,
// and drops the calls of it.
#define oh_prefetch(address)              \
    do {                                  \
        __builtin_prefetch((address), 1); \
        __asm__ volatile("");             \
    } while (0)

#endif
