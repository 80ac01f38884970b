// SPDX-License-Identifier: Apache-2.0
//
// Which pages of a process are resident, from /proc/PID/pagemap, and what stands in them, from
// /proc/PID/mem. Only reads; a page that is not resident is never touched, for reading it would
// make it so. One thread at a time.
//
// The kernel's shared page of zeros, which stands for memory that was read and never written, is
// resident here and is not in smaps: whoever splits a mapping scales to what smaps has.

#ifndef OH_MEMORY_PAGES_H
#define OH_MEMORY_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { OH_PAGE_BYTES = 4096 };

struct oh_pages {
    int map_fd; // -1: may not be read.
    int mem_fd; // -1: the same.
    uint64_t *window;
    uint64_t window_first; // Number of its first page.
    size_t window_count;
};

// Bytes of a range by what its pages are; what is neither was never touched.
struct oh_residency {
    uint64_t resident;
    uint64_t swapped;
};

// Never fails for want of permission: has_map and has_memory tell what can be read. -ENOMEM.
int oh_pages_open(const char *root, pid_t pid, struct oh_pages *pages);
void oh_pages_close(struct oh_pages *pages);

bool oh_pages_has_map(const struct oh_pages *pages);
bool oh_pages_has_memory(const struct oh_pages *pages);

// Counts the bytes of [start, end); its ends need not be those of pages. Quick when ranges come in
// the order of their addresses. Without a map, and past the process's end, nothing is resident.
struct oh_residency oh_pages_count(struct oh_pages *pages, uint64_t start, uint64_t end);

// The first resident page at or after start and before end: its address, or end.
uint64_t oh_pages_next_resident(struct oh_pages *pages, uint64_t start, uint64_t end);

// Reads the bytes at the address when all their pages are resident.
bool oh_pages_read(struct oh_pages *pages, uint64_t address, void *bytes, size_t size);

#endif
