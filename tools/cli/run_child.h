// SPDX-License-Identifier: Apache-2.0
//
// Runs a program in the foreground as a shell would: its own status, signals passed through,
// stopped and continued with us.

#ifndef OH_CLI_RUN_CHILD_H
#define OH_CLI_RUN_CHILD_H

#include <sys/types.h>

struct oh_run_child {
    pid_t pid;
    int exec_errno; // Why the program could not be executed, 0: it was.
    int status;     // The program's exit status, 128+n when signal n killed it.
    int signal;     // That signal, or 0.
};

// argv ends with NULL and its program is `path`; environment ends with NULL. Returns when the
// program is gone: 0, or a negative errno when no process could be made.
int oh_run_child(const char *path, char *const argv[], char *const environment[],
                 struct oh_run_child *child);

#endif
