// SPDX-License-Identifier: Apache-2.0
//
// After a run: finds the recordings of the program and of its children by the run's token, writes
// their profiles, and removes them.

#ifndef OH_CLI_RUN_COLLECT_H
#define OH_CLI_RUN_COLLECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct oh_run_collect {
    uint64_t token;
    pid_t pid;          // The program itself.
    const char *dir;    // Where recordings were sent; NULL: the usual directories.
    const char *output; // The program's profile; NULL: offheap.<exe>.<pid>.pb.gz.
    bool keep;          // Recordings stay.
};

// Prints one line per profile. Returns the number of recordings of the program itself: 0 means that
// there is none. A profile that could not be written is told, and keeps its recording.
int oh_run_collect(const struct oh_run_collect *run);

#endif
