// SPDX-License-Identifier: Apache-2.0
//
// A process that is only files: what /proc says of its memory, below a directory of a test's own.
// Addresses lie below 2 GiB, so that pagemap and mem are sparse files.

#ifndef OH_SUPPORT_FAKE_PROCESS_H
#define OH_SUPPORT_FAKE_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/scratch.h"

enum { OH_FAKE_PID = 77, OH_FAKE_PAGE = 4096, OH_FAKE_TEXT_BYTES = 64 << 10 };

struct oh_fake_process {
    char root[OH_SCRATCH_BYTES];
    char smaps[OH_FAKE_TEXT_BYTES];
    uint64_t resident; // Bytes, of all maps.
    int map_fd;
    int mem_fd;
};

void oh_fake_make(struct oh_fake_process *process);
void oh_fake_remove(struct oh_fake_process *process);

// The next map, in the order of addresses. `resident` bytes are what smaps says; which pages they are
// is oh_fake_touch's. flags: more of VmFlags, "" for none.
void oh_fake_map(struct oh_fake_process *process, uint64_t start, uint64_t end,
                 const char *permissions, unsigned inode, const char *name, uint64_t resident,
                 const char *flags);

// Pages of [start, end) are resident, or swapped out.
void oh_fake_touch(struct oh_fake_process *process, uint64_t start, uint64_t end);
void oh_fake_swap(struct oh_fake_process *process, uint64_t start, uint64_t end);

// What stands at the address.
void oh_fake_put(struct oh_fake_process *process, uint64_t address, const void *bytes, size_t size);

// Writes smaps and smaps_rollup; `more` is added to the rollup's resident size.
void oh_fake_finish(struct oh_fake_process *process, uint64_t more);

void oh_fake_write(const struct oh_fake_process *process, const char *name, const char *text);
// Takes a file of the process away.
void oh_fake_hide(const struct oh_fake_process *process, const char *name);

#endif
