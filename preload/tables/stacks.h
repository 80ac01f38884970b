// SPDX-License-Identifier: Apache-2.0
//
// The interned call stacks with their counters, in the recording (sections INDEX and STACKS).
// Append-only: a stack that was published keeps its place and its frames for ever.
//
// States. An index word: 0 -> (tag, reference), once. A record: being written by one thread, then
//   immutable except for its counters; unreachable if its index word was never stored.
// Writers. Any thread interns; the counters are added to by the threads of the record's shard, with
//   relaxed atomics, or with plain stores where that is one thread for ever (track/shard.h). So a
//   reference that one thread has got must never be used by a thread of another shard.
// Publication. oh_stacks_intern writes the record, then its index word by oh_cas_acq_rel; the
//   look-up (here and in the readers) loads the word with acquire before it follows the reference.
// Progress. A search looks at OH_LEVELS_PROBES buckets of each level; inserting tries each free
//   slot once. No waiting: two threads that intern one stack at once may both publish it (in
//   different levels), and readers add the two up.
// Dead writer. Before the index word: space in STACKS that nobody refers to. Between two counters
//   of one event: short by that event.

#ifndef OH_TABLES_STACKS_H
#define OH_TABLES_STACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"

struct oh_stack_key {
    uint64_t epoch;
    uint8_t kind;  // enum oh_stack_kind.
    uint8_t phase; // enum oh_stack_phase.
    uint8_t end;   // enum oh_stack_end.
    uint8_t shard; // Whose counters (track/shard.h): the caller's own number, always.
    uint32_t depth;
    uint64_t frames; // oh_hash_frames() of pcs; 0: not worked out yet.
    const uint64_t *pcs;
};

// Once, after the recording was made.
void oh_stacks_init(void);

// The reference of the stack when it is known, else 0.
uint32_t oh_stacks_find(const struct oh_stack_key *key);

// The reference of the stack, made known when it is not yet; 0 when it cannot be (counted).
uint32_t oh_stacks_intern(const struct oh_stack_key *key);

struct oh_format_stack *oh_stacks_at(uint32_t reference);

#endif
