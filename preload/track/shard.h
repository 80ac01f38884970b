// SPDX-License-Identifier: Apache-2.0
//
// Who adds to which counters of a stack. A shard number is part of a stack's key, so each shard has
// a record of its own in the recording, and readers add them up.
//
//   OH_SHARD_COMMON  all threads, by atomic additions.
//   OH_SHARD_FIRST   the thread that began the recording, and nobody else ever: plain stores. A
//                    program of one thread pays for no locked instruction here.
//   the others       a thread that keeps losing races for common counters moves to one of these, by
//                    atomic additions still: with more such threads than numbers some share one.
//
// So a program without fights has one record for a stack, or two when its first thread and others
// come by the same way. A thread moves at most once.
//
// Threads: oh_shard_add any; oh_shard_own and oh_shard_fought for the calling thread only. States
// of a thread's number: COMMON -> FIRST at the start, or COMMON -> another one by oh_shard_fought.
// Orders: relaxed; a block is published after its counters (tables/live.h). Progress: no waiting,
// no loop. A dead writer leaves a counter short by the event it was in.

#ifndef OH_TRACK_SHARD_H
#define OH_TRACK_SHARD_H

#include <stdint.h>

#include "base/thread.h"

enum {
    OH_SHARD_COMMON = 0,
    OH_SHARD_FIRST = 1,
    OH_SHARDS = 16, // Numbers in all.
    // Races lost within one second that move a thread: some ten thousand additions that were fought
    // over, a millisecond of that second.
    OH_SHARD_FIGHTS = 1000
};

// Once: the thread is the first one.
void oh_shard_own(struct oh_thread *thread);

// Adds to two counters of a record of the thread's shard, in this second since the recording began.
void oh_shard_add(struct oh_thread *thread, uint64_t *objects, uint64_t weight, uint64_t *bytes,
                  uint64_t size, uint32_t second);

// The thread has lost a race for a counter.
void oh_shard_fought(struct oh_thread *thread, uint32_t second);

#endif
