// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says is in a process's memory: every mapping of /proc/PID/smaps with what of it
// is resident, and the sum of /proc/PID/smaps_rollup.
//
// Every function of tools/process and tools/memory that reads /proc or /sys takes `root`, which
// stands before the path: "" on a machine, a directory in tests.

#ifndef OH_PROCESS_SMAPS_H
#define OH_PROCESS_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum oh_smap_permission {
    OH_SMAP_READ = 1 << 0,
    OH_SMAP_WRITE = 1 << 1,
    OH_SMAP_EXECUTE = 1 << 2,
    OH_SMAP_SHARED = 1 << 3,
};

// One mapping; sizes in bytes.
struct oh_smap {
    uint64_t start;
    uint64_t end;
    uint64_t offset; // In its file.
    uint64_t inode;  // 0: anonymous.
    dev_t device;
    const char *name; // A path without " (deleted)", "[heap]", "[anon:...]", or "".
    bool is_deleted;
    uint8_t permissions; // enum oh_smap_permission.
    bool is_stack;       // The kernel keeps huge pages out of it, as it does for MAP_STACK.
    uint64_t resident;
    uint64_t anonymous; // Of the resident: pages of no file, also those copied from one.
    uint64_t swapped;
};

struct oh_smaps {
    struct oh_smap *maps; // In the order of their addresses.
    size_t count;
    uint64_t sum;        // Resident bytes of all maps.
    uint64_t resident;   // Of smaps_rollup, or the sum where the kernel has none.
    uint64_t swapped;    // The same.
    uint64_t huge_bytes; // In hugetlb pages, which no resident size counts.
    char *text;          // What the names point into.
};

// 0; -ESRCH: no such process, or it ended; -ENODATA: it has no memory of its own (a kernel thread);
// -EACCES or -EPERM: it may not be looked into; another negative errno.
int oh_smaps_read(const char *root, pid_t pid, struct oh_smaps *smaps);
void oh_smaps_fini(struct oh_smaps *smaps);

// The first map that ends after the address: its index, or the count.
size_t oh_smaps_after(const struct oh_smaps *smaps, uint64_t address);

// The map that holds the address, NULL: none.
const struct oh_smap *oh_smaps_find(const struct oh_smaps *smaps, uint64_t address);

#endif
