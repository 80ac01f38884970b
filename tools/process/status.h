// SPDX-License-Identifier: Apache-2.0
//
// What anybody may read of a process's memory: /proc/PID/status and the OOM killer's score. On new
// kernels these sizes are approximate; the exact ones are those of smaps.

#ifndef OH_PROCESS_STATUS_H
#define OH_PROCESS_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct oh_status {
    char name[64];
    bool has_sizes; // Bytes:
    uint64_t resident;
    uint64_t anonymous; // Of the resident: of no file, of files, and shared memory.
    uint64_t file;
    uint64_t shmem;
    uint64_t swapped;
    bool has_score;
    long score;      // 0 to 2000: the process with the highest one is killed first.
    long adjustment; // -1000 (never) to 1000, which is in the score.
};

// 0; -ESRCH: no such process; another negative errno.
int oh_status_read(const char *root, pid_t pid, struct oh_status *status);

#endif
