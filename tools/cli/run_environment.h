// SPDX-License-Identifier: Apache-2.0
//
// The environment in which `offheap run` starts a program: the library in front of others that are
// preloaded, its settings, and the token by which the recordings of the run are found. It is made
// in our own environment, which has no other use.

#ifndef OH_CLI_RUN_ENVIRONMENT_H
#define OH_CLI_RUN_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct oh_run_options {
    const char *output;
    const char *dir;
    const char *allocator;    // A library, by its path; NULL: the program's own.
    const char *max_overhead; // As it was given, and checked; NULL: not given.
    bool exact;
    bool keep;
    unsigned long long sample_bytes; // 0: not given; the same for the next two.
    unsigned long long depth;
    unsigned long long max_bytes;
    char **program; // The program and its arguments.
};

int oh_run_set_environment(const struct oh_run_options *o, const char *library, uint64_t token,
                           struct oh_err *err);

// Makes dir, by its path from the root, the place of recordings.
int oh_run_set_dir(const char *dir, struct oh_err *err);

// Where recordings were told to go; NULL: the library chooses.
const char *oh_run_chosen_dir(void);

// A number that no other run has; never 0.
uint64_t oh_run_make_token(void);

#endif
