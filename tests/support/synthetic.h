// SPDX-License-Identifier: Apache-2.0
//
// Recordings made by hand in memory, entry by entry, for tests of what reads them: small, with two
// levels of a table, with a section that is not ready and lies beyond the end.

#ifndef OH_SUPPORT_SYNTHETIC_H
#define OH_SUPPORT_SYNTHETIC_H

#include <stddef.h>
#include <stdint.h>

#include "offheap/block.h"
#include "offheap/format.h"

// The numbers of two further means: 1000 bytes at the one weigh about 2.5 objects, everything at
// the other one object.
enum {
    OH_SYNTHETIC_BYTES = 320 << 10,
    OH_SYNTHETIC_MEAN = 1,
    OH_SYNTHETIC_MEAN_BYTES = 1958,
    OH_SYNTHETIC_NO_MEAN = 2
};

struct oh_synthetic {
    _Alignas(4096) uint8_t bytes[OH_SYNTHETIC_BYTES];
    size_t size; // Of the recording; the rest of bytes is not part of it.
    uint32_t string_used, module_count, index_used[2], stack_used, block_count;
};

struct oh_format_header *oh_synthetic_header(struct oh_synthetic *recording);

// An empty recording of the executable /opt/app, pid 4711. mode as enum oh_format_mode; a sampled
// one counts objects in 2^-16.
void oh_synthetic_begin(struct oh_synthetic *recording, uint32_t mode);

struct oh_format_text oh_synthetic_text(struct oh_synthetic *recording, const char *text);

// A module with a path that lies at [start, end), all of it text, ready, of every epoch. The caller
// may change what it returns.
struct oh_format_module *oh_synthetic_module(struct oh_synthetic *recording, const char *path,
                                             uint64_t start, uint64_t end);

// A stack, and its place in the index (level 0 or 1). epoch, kind, phase, end and shard are
// taken from `like`. The caller sets its counters.
struct oh_format_stack *oh_synthetic_stack(struct oh_synthetic *recording,
                                           const struct oh_format_stack *like, const uint64_t *pcs,
                                           uint32_t depth, uint32_t level);

// The reference to a stack, as blocks have it.
uint32_t oh_synthetic_ref(const struct oh_synthetic *recording,
                          const struct oh_format_stack *stack);

// Its entry, which the caller may change.
struct oh_format_block *oh_synthetic_block(struct oh_synthetic *recording,
                                           const struct oh_block *block);

// Sections for maps, empty. The log and the n-th table's head, which the caller fills; its ranges
// follow.
struct oh_format_map_log *oh_synthetic_maps(struct oh_synthetic *recording);
struct oh_format_map_log *
oh_synthetic_maps_log(struct oh_synthetic *recording); // Once they are there.
struct oh_format_map_table *oh_synthetic_table(struct oh_synthetic *recording, uint32_t number);

// A section for the time line, and a step in the ring of the finest clock. Not together with maps.
void oh_synthetic_step(struct oh_synthetic *recording, const struct oh_format_step *step);

// Something of everything: two modules, three stacks, four blocks, texts and a note.
void oh_synthetic_sample(struct oh_synthetic *recording, uint32_t mode);

#endif
