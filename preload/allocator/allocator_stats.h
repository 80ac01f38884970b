// SPDX-License-Identifier: Apache-2.0
//
// What jemalloc says of itself, kept in the recording's header: how much of its memory the program has,
// and how much it keeps.
//
// Asking takes jemalloc's locks, as an allocation of it may. So it is done only where the thread can
// hold none of them: in the slow path of a recorded allocation with a whole stack that has no frame of
// jemalloc in it, at most once a second (track.h), and at C's exit.

#ifndef OH_ALLOCATOR_ALLOCATOR_STATS_H
#define OH_ALLOCATOR_ALLOCATOR_STATS_H

#include <stddef.h>

typedef int oh_mallctl_fn(const char *name, void *old, size_t *old_size, void *new,
                          size_t new_size);

// Before oh_track_start. The first one counts.
void oh_allocator_stats_init(oh_mallctl_fn *mallctl);

// Asks now, if there is a jemalloc to ask. errno may change.
void oh_allocator_stats_update(void);

#endif
