// SPDX-License-Identifier: Apache-2.0
//
// A checked view of a recording's bytes: the only code that follows its references. The bytes are
// untrusted (truncated, bit-flipped, written by another version, changing while they are read)
// unless they are our own process's, and are treated alike. Nothing is ever read outside of
// [base, base + size). Owns no memory; allocates nothing; any thread.
//
// Opening a file, copying a live one: tools/reader. Names: profile/symbols.h. What is mapped:
// profile/ranges.h. The time line: profile/timeline.h.

#ifndef OH_PROFILE_VIEW_H
#define OH_PROFILE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offheap/format.h"
#include "offheap/step.h"

enum oh_view_error {
    OH_VIEW_OK = 0,
    OH_VIEW_EMPTY,       // No byte, or no magic: never begun.
    OH_VIEW_NOT_OURS,    // Another kind of file.
    OH_VIEW_VERSION,     // A major version that this reader does not know.
    OH_VIEW_ENDIAN,      // Written on a machine of the other byte order.
    OH_VIEW_TRUNCATED,   // Shorter than what it says it holds.
    OH_VIEW_INCONSISTENT // A section or a field with an impossible value.
};

// Where and what, for the message.
struct oh_view_fault {
    enum oh_view_error error;
    uint64_t offset;     // In the file.
    const char *section; // "header", "strings", "modules", ... never NULL.
    uint64_t found;      // The offending value, and the bound that it breaks.
    uint64_t bound;
};

struct oh_view {
    const uint8_t *base;
    size_t size;
    const struct oh_format_header *header; // Its fixed fields were checked by oh_view_open.
    uint64_t damaged;                      // Entries that iteration had to leave out.
    // Recorded allocations by the ends of their stacks (enum oh_stack_end), as of the last
    // oh_view_each_stack.
    uint64_t ends[OH_STACK_END_BROKEN + 1];
};

// One stack with its counters as read once. `pcs` points into the recording. What of it is in use
// is the sum of its blocks: read these first, so that none is found which is not yet counted here.
struct oh_view_stack {
    uint32_t ref; // As in an index word, and as blocks have it.
    uint32_t depth;
    uint8_t kind;
    uint8_t phase;
    uint8_t end;
    uint64_t epoch;
    uint64_t first_ns;
    uint64_t alloc_objects, alloc_bytes;
    uint64_t samples; // In exact mode as many as objects.
    double alloc_objects_variance, alloc_bytes_variance;
    struct oh_step_row steps; // In use at earlier moments: oh_step_at, oh_step_unpack.
    bool steps_torn;          // Its writer died between two of them: some are of one rung before.
    const uint64_t *pcs;
};

struct oh_view_block {
    uint64_t address;
    uint64_t size;
    uint64_t weight; // Objects, in units of 2^-weight_shift,
    uint64_t bytes;  // and the bytes that it stands for.
    uint32_t stack;
    uint32_t time_s; // OH_BLOCK_NO_TIME when it is not known.
};

// 0, or -EINVAL with *fault filled.
int oh_view_open(struct oh_view *view, const void *base, size_t size, struct oh_view_fault *fault);

// Each calls fn for every valid entry and counts the others in view->damaged; a fn that returns
// non-zero ends the iteration, and that value is returned.
typedef int oh_view_stack_fn(void *arg, const struct oh_view_stack *stack);
typedef int oh_view_block_fn(void *arg, const struct oh_view_block *block);
typedef int oh_view_module_fn(void *arg, const struct oh_format_module *module, uint32_t number);
int oh_view_each_stack(struct oh_view *view, oh_view_stack_fn *fn, void *arg);
int oh_view_each_block(struct oh_view *view, oh_view_block_fn *fn, void *arg);
int oh_view_each_module(struct oh_view *view, oh_view_module_fn *fn, void *arg);

// One of enum oh_format_counter. Those of stacks that are cut are not in the header: they are what
// oh_view_each_stack found.
uint64_t oh_view_counter(const struct oh_view *view, int counter);

// The bytes of a section that is there, or NULL.
const void *oh_view_section(const struct oh_view *view, enum oh_format_section_id id,
                            uint32_t level, uint64_t *bytes);
// The kind of the stack that something refers to (enum oh_stack_kind); 0 when there is no such
// stack.
uint8_t oh_view_stack_kind(const struct oh_view *view, uint32_t ref);

// The text's bytes, NUL-terminated inside the recording; "" when absent or out of bounds.
const char *oh_view_text(const struct oh_view *view, struct oh_format_text text, size_t *length);

#endif
