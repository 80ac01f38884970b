// SPDX-License-Identifier: Apache-2.0
//
// What jemalloc says of itself, kept in the recording's header: how much of its memory the program has,
// and how much it keeps.
//
// Asking is not harmless: jemalloc adds up all its arenas, under its locks. With 256 arenas that took
// 2 to 40 ms, and another thread that purges an arena, or an extent hook of the program's, may hold
// such a lock for as long as it likes. So nobody asks of its own accord but C's exit, which ends
// everything anyway. A reader asks for it: it writes a number into the header (struct
// oh_format_jemalloc, `wanted`), which is looked at once a second, in the slow path of a recorded
// allocation (track/timeline.h).
//
// The thread that answers must hold none of these locks: its stack is whole, without a frame of
// jemalloc (a signal handler that interrupted it) or of fork (before which jemalloc takes all locks,
// and handlers of others may run behind that). When that cannot be told, the next one answers.

#ifndef OH_ALLOCATOR_ALLOCATOR_STATS_H
#define OH_ALLOCATOR_ALLOCATOR_STATS_H

#include <stddef.h>

#include "profile/elf.h"

typedef int oh_mallctl_fn(const char *name, void *old, size_t *old_size, void *new,
                          size_t new_size);

// Before oh_track_start. The first one counts. `fork` is where libc's function lies; 0 and 0: it is
// not known, and no reader is answered.
void oh_allocator_stats_init(oh_mallctl_fn *mallctl, const struct oh_elf_span *fork);

// At C's exit: asks now, if there is a jemalloc to ask. errno may change.
void oh_allocator_stats_end(void);

#endif
