// SPDX-License-Identifier: Apache-2.0
//
// One look at a live process: every byte of its resident size is in one part of the table. Stops,
// signals and changes nothing.
//
// Elsewhere: who owns which range (claim), the cgroup, what two looks say together (verdict).

#ifndef OH_MEMORY_LOOK_H
#define OH_MEMORY_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "memory/claim.h"
#include "memory/live.h"
#include "memory/parts.h"
#include "memory/stack_sums.h"
#include "profile/view.h"

struct oh_look_request {
    const char *root; // Before /proc, "" on a machine.
    pid_t pid;
    struct oh_view *view; // Of its recording; NULL: it has none.
};

enum { OH_LOOK_GO_NAMES = 12, OH_LOOK_NAME_BYTES = 32 };

// A part of Go's memory as the runtime names it ("heap", "metadata").
struct oh_look_go_name {
    char name[OH_LOOK_NAME_BYTES];
    uint64_t resident;
};

struct oh_look {
    pid_t pid;
    uint64_t time_ns;  // CLOCK_MONOTONIC.
    double resident;   // The sum of the parts.
    double swapped;    // Not in it.
    double huge_bytes; // Not in it either: hugetlb pages.
    double parts[OH_PART_COUNT];
    double heap;             // All of the allocator's areas: live, overhead and retention.
    struct oh_live_sum live; // What of the recorded blocks lies in them.
    double allocated;        // What all recorded blocks were asked for, wherever they lie.
    double allocated_variance;
    double free_pages; // Resident pages of the allocator's areas without any live byte; exact
                       // recordings only, else negative.
    enum oh_allocator allocator;
    struct oh_format_jemalloc jemalloc; // What it says of itself; all 0: nothing.
    double jemalloc_age_s;              // Of that.
    bool has_recording;
    bool is_exact;
    bool has_unseen;  // Some of its allocator's blocks are not recorded, as its notes tell.
    bool has_mapped;  // The recording knows what was mapped.
    bool is_confined; // The process has confined itself: some of its maps may not be recorded.
    bool has_pages;   // Which pages are resident could be read,
    bool has_memory;  // and what is in them.
    bool is_go;
    unsigned go_minor; // 19 of Go 1.19; 0: not known.
    bool has_libc;
    struct oh_look_go_name go_names[OH_LOOK_GO_NAMES];
    size_t go_name_count;
    struct oh_live blocks;       // What is recorded as live; kept until oh_look_fini.
    struct oh_stack_sums stacks; // The same by stacks.
};

// 0; -ESRCH: the process is gone; -EACCES, -EPERM: it may not be looked into; -ENODATA: it has no
// memory of its own; -ENOMEM. err says it in words.
int oh_look_take(const struct oh_look_request *request, struct oh_look *look, struct oh_err *err);

void oh_look_fini(struct oh_look *look);

// Gives up the blocks alone.
void oh_look_drop_blocks(struct oh_look *look);

// One standard error of C live, and of retention, from which the blocks' overhead is taken too.
double oh_look_error(const struct oh_look *look);
double oh_look_retained_error(const struct oh_look *look);

#endif
