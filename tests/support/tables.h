// SPDX-License-Identifier: Apache-2.0
//
// A real recording with its tables in this process, and the sum of what a recording's file holds,
// read through the reader's own view. One recording per process.

#ifndef OH_SUPPORT_TABLES_H
#define OH_SUPPORT_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "offheap/block.h"
#include "offheap/format.h"
#include "profile/ranges.h"
#include "profile/view.h"

enum { OH_TABLES_SMALLEST = 2 << 20 };

// The defaults of the library, exact, in `dir`.
void oh_tables_config(struct oh_config *config, const char *dir, uint64_t max_bytes);

// Makes the recording and its tables, or ends the process.
void oh_tables_begin(const struct oh_config *config);

// What a file holds in all.
struct oh_tables_sum {
    uint64_t stacks;
    uint64_t blocks;
    uint64_t blocks_bytes;
    uint64_t modules;
    uint64_t alloc_objects, alloc_bytes;
    uint64_t inuse_objects, inuse_bytes; // Of the blocks.
    uint64_t samples;
    uint64_t damaged;
};

// Maps the file for reading: NULL, with errno, when that cannot be.
void *oh_tables_map_file(const char *path, size_t *size);

// Maps the file and adds up: 0, or a negative errno (-EINVAL when the view refuses it).
int oh_tables_sum_file(const char *path, struct oh_tables_sum *sum);

// The same over bytes in memory.
int oh_tables_sum(const void *base, size_t size, struct oh_tables_sum *sum);

uint64_t oh_tables_counter(enum oh_format_counter counter);

// Makes a block live whose address is not yet: true, or false when the table has no place for it.
bool oh_tables_enter(const struct oh_block *block);

// What this process's recording holds as mapped, into an arena that is the caller's to end; nothing
// of it may be damaged.
void oh_tables_ranges(struct oh_arena *arena, struct oh_view_ranges *ranges);

// The sum of its bytes; *count, unless NULL: how many ranges they are in.
uint64_t oh_tables_mapped(uint64_t *count);

// A stack of one frame with this number and kind (enum oh_stack_kind).
uint32_t oh_tables_stack(uint8_t kind, uint64_t number);

#endif
