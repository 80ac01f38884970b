// SPDX-License-Identifier: Apache-2.0
//
// Where the files of a process's memory control group are.

#ifndef OH_PROCESS_CGROUP_PATH_H
#define OH_PROCESS_CGROUP_PATH_H

#include <stddef.h>
#include <sys/types.h>

struct oh_cgroup_path {
    int version;     // 1 or 2.
    char *name;      // As in /proc/PID/cgroup.
    char *directory; // With its files.
    size_t top;      // Length of the part of directory that is the mount: parents end there.
};

// 0; -ESRCH: no such process; -ENOENT: it is in no group with a memory controller (reason tells);
// -ENOMEM; another negative errno of /proc/PID/cgroup.
int oh_cgroup_find(const char *root, pid_t pid, struct oh_cgroup_path *found, char *reason,
                   size_t reason_size);
void oh_cgroup_path_fini(struct oh_cgroup_path *path);

#endif
