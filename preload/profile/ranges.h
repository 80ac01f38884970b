// SPDX-License-Identifier: Apache-2.0
//
// What is mapped, from the sections MAPS and MAP_LOG: the table that holds with the later events
// painted over it (offheap/paint.h), each range with its kind. The recording may change while it is
// read, be damaged, or have no such sections. All memory is the arena's. One thread at a time.
// Host-safe.

#ifndef OH_PROFILE_RANGES_H
#define OH_PROFILE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/arena.h"
#include "profile/view.h"

struct oh_view_range {
    uint64_t begin;
    uint64_t end;    // The byte after the last.
    uint64_t call;   // What is left of one call has one number.
    uint32_t stack;  // As in an index word.
    uint32_t time_s; // Since start_monotonic_ns.
    uint8_t kind;    // enum oh_stack_kind; may be one that we do not know.
};

// In the order of their addresses, without overlap.
struct oh_view_ranges {
    struct oh_view_range *ranges;
    uint64_t count;
};

// 0 or -ENOMEM. What makes no sense is left out and counted in view->damaged; of a
// recording that changes too fast the last events may be missing.
int oh_ranges_read(struct oh_view *view, struct oh_arena *arena, struct oh_view_ranges *ranges);

// Whether the recording knows of maps at all.
bool oh_ranges_recorded(const struct oh_view *view);

// The name of a kind: "mmap", "go-runtime"; NULL for one that we do not know.
const char *oh_kind_name(uint8_t kind);

#endif
