// SPDX-License-Identifier: Apache-2.0
//
// Records calls of the mmap family: tells whose they are (track/owner), takes the program's stacks,
// counts, and enters the range (tables/maps). The hooks (hooks/hooks_mmap) know the system calls.
// These calls are never sampled, and have no part in the sampling of malloc's.
//
// Order: see tables/maps. A range is counted as allocated just before it is entered, with whole
// pages. A call from inside of malloc's real function, or of a signal handler that interrupts the
// recorder (`busy`), is recorded with the address of its caller as its only frame.
//
// Before the recorder is up (libraries that are initialised before this one map, and allocators do
// when they are first called), calls wait in a small ring, each with its caller's address, and
// oh_mapping_start enters them. What did not fit is counted. Nothing here brings the recorder up:
// these hooks are called by allocators that hold their locks.
//
// Any thread, any time. errno is never changed. The host's stack, from the hook on, on x86-64 with
// gcc 12, release preset: 2,024 bytes (mremap 2,328), or 1,944 more when code is seen for the first
// time, and 3,072 more with OFFHEAP_MAX_DEPTH over 128.

#ifndef OH_TRACK_MAPPING_H
#define OH_TRACK_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/registers_x86_64.h"
#include "offheap/format.h"
#include "tables/maps.h"

// Once, when the tables are there, before oh_track_start: enters what waited. phase_of as there.
void oh_mapping_start(const struct oh_format_header *header, uint8_t (*phase_of)(void));

// Whether the other functions would do something, for a caller that has to find out more for them.
bool oh_mapping_wanted(void);

// [begin, end) was mapped. `kind` is what it is if it is the program's own.
void oh_mapping_add(const struct oh_caller *caller, uint64_t begin, uint64_t end,
                    enum oh_stack_kind kind);

// [begin, end) may be accessed from now on: what of it was reserved is memory.
void oh_mapping_commit(const struct oh_caller *caller, uint64_t begin, uint64_t end);

// Something was mapped that cannot be told.
void oh_mapping_count_lost(void);

// Around a system call that unmaps [begin, end) when it succeeds.
struct oh_mapping_removal {
    struct oh_maps_unset unset;
    uint64_t early; // Number in the ring, from 1 on.
};
void oh_mapping_begin_removal(struct oh_mapping_removal *removal, uint64_t begin, uint64_t end);
void oh_mapping_end_removal(const struct oh_mapping_removal *removal, bool succeeded);

// What is recorded at an address, as oh_maps_find; its kind, 0 when nothing is, or when it cannot be
// told: then the piece is everything.
uint8_t oh_mapping_find(uint64_t address, struct oh_format_range *piece);

#endif
