// SPDX-License-Identifier: Apache-2.0
//
// Which pages of a process are resident, from /proc/PID/pagemap, and what stands in them, from
// /proc/PID/mem. Only reads; a page that is not resident is never touched, for reading it would
// make it so. One thread at a time.
//
// The kernel's shared page of zeros stands for memory that was read and never written. It is in no
// resident size; kernels before 6.7 do not tell it from other pages: whoever splits a mapping holds
// to what smaps has.

#ifndef OH_PROCESS_PAGES_H
#define OH_PROCESS_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/smaps.h"

enum { OH_PAGE_BYTES = 4096, OH_PAGES_WINDOWS = 256 };

// A piece of the page map, of 64 MiB of addresses.
struct oh_pages_window {
    uint64_t first; // Number of its first page.
    size_t count;   // Words in it; fewer at the end of the addresses.
    bool is_read;
    uint64_t *words;
};

// Pieces that were read are kept, so that what is asked in any order is read once: up to 32 MiB.
struct oh_pages {
    int map_fd;                   // -1: may not be read.
    int mem_fd;                   // -1: the same.
    const struct oh_smaps *smaps; // The caller's.
    struct oh_pages_window *windows;
    bool has_zero_pages; // Some may be among those that were counted as resident.
};

// Bytes of a range by what its pages are; what is neither was never touched.
struct oh_residency {
    uint64_t resident;
    uint64_t swapped;
};

// smaps: of the process, until pages are closed; nothing is asked of addresses between its maps (a
// damaged recording has blocks of any size). Never fails for want of permission: has_map and
// has_memory tell what can be read. -ENOMEM.
int oh_pages_open(const char *root, pid_t pid, const struct oh_smaps *smaps,
                  struct oh_pages *pages);
void oh_pages_close(struct oh_pages *pages);

bool oh_pages_has_map(const struct oh_pages *pages);
bool oh_pages_has_memory(const struct oh_pages *pages);

// Counts the bytes of [start, end); its ends need not be those of pages. Without a map, and past the
// process's end, nothing is resident.
struct oh_residency oh_pages_count(struct oh_pages *pages, uint64_t start, uint64_t end);

// The first resident page at or after start and before end: its address, or end.
uint64_t oh_pages_next_resident(struct oh_pages *pages, uint64_t start, uint64_t end);

// Reads the bytes at the address when all their pages are resident.
bool oh_pages_read(struct oh_pages *pages, uint64_t address, void *bytes, size_t size);

#endif
