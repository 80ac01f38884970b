// SPDX-License-Identifier: Apache-2.0
//
// Scenarios that need a process of their own: parts of the library are process-wide and begin once.
// A scenario runs in a forked child and says what it expects with oh_require, which ends the child;
// cmocka's own assertions belong to the parent.

#ifndef OH_SUPPORT_CHILD_H
#define OH_SUPPORT_CHILD_H

#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    OH_CHILD_FAILED = 97,  // A requirement was not met (told on stderr).
    OH_CHILD_SKIPPED = 77, // The scenario cannot be set up on this machine.
    OH_CHILD_SECONDS = 200,
};

typedef void oh_child_fn(void *arg);

// Runs fn in a child: its exit status (0 when fn returned), or 128 + n when signal n ended it.
int oh_child_run(oh_child_fn *fn, void *arg);

// Runs fn in a child and fails the calling test unless it returned; skips it when the child says so.
void oh_child_must_pass(oh_child_fn *fn, void *arg);

// The same judgement of a status of oh_child_run.
void oh_child_judge(int status);

// Starts fn in a child and returns its pid at once; oh_child_wait gives the status as above.
pid_t oh_child_start(oh_child_fn *fn, void *arg);
int oh_child_wait(pid_t pid);

_Noreturn void oh_child_fail(const char *file, int line, const char *what);

// Prints both numbers when they differ.
void oh_child_require_equal(unsigned long long found, unsigned long long wanted, const char *file,
                            int line, const char *what);

#define oh_require(condition) \
    ((condition) ? (void)0 : oh_child_fail(__FILE__, __LINE__, #condition))

#define oh_require_equal(found, wanted)                                                         \
    oh_child_require_equal((unsigned long long)(found), (unsigned long long)(wanted), __FILE__, \
                           __LINE__, #found " == " #wanted)

#endif
