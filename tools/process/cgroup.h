// SPDX-License-Identifier: Apache-2.0
//
// What the memory controller charges to a process's control group, v1 or v2: other processes and
// the kernel's memory are in it, which is why it is a table of its own. The group is found through
// /proc/PID/cgroup and the mounts that we see, or, in a container's mount namespace, those that the
// process sees.

#ifndef OH_PROCESS_CGROUP_H
#define OH_PROCESS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// A number that the kernel does not give, and a limit that is not set.
#define OH_CGROUP_ABSENT UINT64_MAX
#define OH_CGROUP_NO_LIMIT (UINT64_MAX - 1)

struct oh_cgroup {
    int version;      // 1 or 2; 0: there is nothing to show, and `reason` says why.
    char *name;       // The group as /proc/PID/cgroup has it; NULL: not known.
    char *directory;  // Where its files were read.
    char reason[256]; // "" when version is not 0.

    // Bytes, OH_CGROUP_ABSENT or, for limits, OH_CGROUP_NO_LIMIT.
    uint64_t current;
    uint64_t peak;
    uint64_t max;   // The group's own,
    uint64_t limit; // and the least of it and the groups above, as far as they can be seen.
    uint64_t high;  // v1: the soft limit.
    uint64_t swap;
    uint64_t anonymous;
    uint64_t file; // Page cache, without shmem.
    uint64_t shmem;
    uint64_t kernel;
    uint64_t reclaimable; // Page cache on the lists, and slabs that can be freed.

    // Counts.
    uint64_t high_events;
    uint64_t max_events; // v1: failcnt.
    uint64_t oom_events;
    uint64_t oom_kills;
};

// Always fills the group: version 0 and a reason when it cannot be shown. Only -ENOMEM fails.
int oh_cgroup_read(const char *root, pid_t pid, struct oh_cgroup *group);
void oh_cgroup_fini(struct oh_cgroup *group);

// What the OOM killer acts on: the charge that reclaiming cannot lower. ABSENT when not known.
uint64_t oh_cgroup_unreclaimable(const struct oh_cgroup *group);

#endif
