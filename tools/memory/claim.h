// SPDX-License-Identifier: Apache-2.0
//
// Decides who owns each range of a process's memory. The authorities, highest first:
//   the kernel, of what is mapped from a file, and of what it names ([heap], [stack]);
//   the recording, of what passed the hooks: the ranges that the program, its allocator and the Go
//     runtime mapped, and of its modules' static data;
//   the memory itself, of what glibc and the recorder map for themselves (own_maps);
//   the recording again: memory that holds a live block is its allocator's;
//   at last the place: static data behind a file's pages, Go's heap by its address.
// What none of them knows is nobody's, and is shown as such.

#ifndef OH_MEMORY_CLAIM_H
#define OH_MEMORY_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/cover.h"
#include "memory/live.h"
#include "process/pages.h"
#include "process/smaps.h"
#include "profile/view.h"

// A range that the recording knows to be mapped, and by whom.
struct oh_mapped_range {
    uint64_t start;
    uint64_t end;
    enum oh_memory_part part;
};

struct oh_claim_facts {
    const struct oh_smaps *smaps;
    struct oh_pages *pages;
    const char *exe;      // Path of the program, NULL: the first file that is executable.
    struct oh_view *view; // NULL: the process is not recorded.
    const struct oh_live *live;
    const struct oh_mapped_range *mapped; // Of the recording.
    size_t mapped_count;
    bool has_mapped; // The recording has a table of maps, which may be empty.
    bool is_go;
    bool has_libc; // It runs C code beside Go's, or is no Go program.
    enum oh_allocator allocator;
};

// 0 or -ENOMEM. The cover is the caller's to end.
int oh_claim_all(const struct oh_claim_facts *facts, struct oh_cover *cover);

#endif
