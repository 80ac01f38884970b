// SPDX-License-Identifier: Apache-2.0
//
// The one per-thread object: zero when a thread begins, plain memory of that thread, freed with it.
// Signal handlers of the thread may find it in any state; `busy` tells them (and every other way of
// re-entry) that the recorder is at work below them.
//
// Ways into a hook while `busy` is set, each forwarded unrecorded: dlsym and the loader while the
// real functions are resolved; a real allocator that calls another interposed function; a signal
// handler that allocates. Frees are not guarded: taking a block out of the table is safe anywhere.
// A signal handler that jumps out of a hook (siglongjmp) leaves `busy` behind: track.c finds that
// out when a hook is called from further out on the stack than the one that set it.

#ifndef OH_BASE_THREAD_H
#define OH_BASE_THREAD_H

#include <stdint.h>

#include "base/attr.h"

struct oh_thread {
    // Bytes until the next sample; an allocation smaller than it passes. 0 in a new thread and
    // in exact mode: every allocation then takes the slow path.
    uint64_t countdown;
    uint64_t random; // State of the thread's generator; 0: not yet seeded.
    uint32_t busy;
    uint32_t nested; // Calls that came while busy; for hooks/nesting.
    uint64_t slack;  // For capture/sampler, as `mean`: 0 in a new thread.
    uint32_t mean;
    uint32_t looks; // For capture/budget: which look for a freed block is timed.
    // Whose counters of a stack are added to, and the races lost for them: track/shard.h.
    uint32_t shard;
    uint32_t fights;
    uint32_t fight_second;
    // Where on the stack the hook is that set `busy`, for track.c. Who sets that sets this, but for
    // what comes before the start, when it is 0.
    uint64_t busy_at;
};

_Static_assert(sizeof(struct oh_thread) <= 64, "the per-thread object stays on one cache line");

// Defined in base/thread.c; an extern here (and nowhere else) because the hooks' first load must
// be one instruction.
extern OH_THREAD_LOCAL struct oh_thread oh_thread_self OH_HIDDEN;

#endif
