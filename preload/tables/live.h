// SPDX-License-Identifier: Apache-2.0
//
// The live blocks, in the recording (section LIVE): address -> size, weight, stack, time.
//
// States of an address word: EMPTY -> BUSY -> address -> EMPTY, and so on. BUSY: one thread writes
//   the block's facts beside it.
// Writers. Insert: the thread that was given the block, before the host sees its address. Remove:
//   the thread that frees it; the host guarantees that this is one thread, and if it does not (a
//   double free), the compare-and-swap lets one of them win.
// Publication. oh_live_insert writes the facts, then stores the address with release; remove and
//   the readers load the address with acquire, then the facts; remove gives the word back by
//   oh_cas_acq_rel after it has read them.
// Progress. OH_LEVELS_PROBES buckets a level, each slot looked at once, no waiting. When all are
//   full a further level is opened; when there is none the block is not recorded (counted).
// Dead writer. A word that stays BUSY: one slot is lost, readers skip it. Frees and inserts by
//   other threads are not touched by it.

#ifndef OH_TABLES_LIVE_H
#define OH_TABLES_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"

// Once, after the recording was made.
void oh_live_init(void);

// Enters a block: true, or false when there is no place (counted). When the address is there
// already, a free of it went unseen: *replaced tells, and *old holds what stood there.
bool oh_live_insert(uint64_t address, const struct oh_format_block *block, bool *replaced,
                    struct oh_format_block *old);

// Takes a block out: true with *block filled, or false when it is not recorded.
bool oh_live_remove(uint64_t address, struct oh_format_block *block);

#endif
