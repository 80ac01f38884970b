// SPDX-License-Identifier: Apache-2.0
//
// The live blocks, in the recording (section LIVE): address -> size, stack, time, mean. An entry is
// two words in one cache line; a level is an array of such lines, four entries each.
//
// Search. An address has a home line in every level. An entry stands in the home line or in the line
//   beside it (the pair of 128 bytes), else elsewhere in the group of OH_LIVE_GROUP lines around
//   it. All pairs are looked at before any group, newest level first. A new level is opened only when
//   all pairs and groups of an address are full, which leaves 73 (the first level) to 90 % of all
//   entries in use; it then makes seven tenths of what there was, so that a live block costs no more
//   than 16 / 0.85 * 1.7 bytes of memory at any number of blocks, 38 while there are few.
//
// States of an entry's `place`: EMPTY -> BUSY -> the address -> EMPTY, and so on. BUSY: one thread
//   writes the facts beside it.
// Writers. Insert: the thread that was given the block, before the host sees its address. Remove:
//   the thread that frees it; the host guarantees that this is one thread, and if it does not (a
//   double free), the compare-and-swap lets one of them win.
// Publication. oh_live_claim makes an entry BUSY (oh_cas_acq_rel); oh_live_publish writes the facts,
//   then stores the place with release. Remove and the readers load the place with acquire, then the
//   facts. What the caller counts between the two is counted before a reader can see the block.
// Progress. Two lines a level, then OH_LIVE_GROUP lines a level, each slot looked at once, no
//   waiting. When all are full a further level is opened; when there is none the block is not
//   recorded (counted).
// Dead writer. An entry that stays BUSY: one slot is lost, readers skip it. Frees and inserts by
//   other threads are not touched by it.

#ifndef OH_TABLES_LIVE_H
#define OH_TABLES_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/block.h"
#include "offheap/format.h"

enum { OH_LIVE_LINE_BLOCKS = 4, OH_LIVE_GROUP = 16 };

// Once, after the recording was made.
void oh_live_init(void);

// Begins to load what an insertion of this address will touch.
void oh_live_prefetch(uint64_t address);

// An entry for a block that fits (block.h), or NULL when there is no place (counted). When the address
// is there already, a free of it went unseen: it is taken out, and *replaced tells.
struct oh_format_block *oh_live_claim(uint64_t address, bool *replaced);
// Makes the block live: `entry` is what oh_live_claim gave for its address.
void oh_live_publish(struct oh_format_block *entry, const struct oh_block *block);

// Takes a block out: true with *block filled, or false when it is not recorded.
bool oh_live_take(uint64_t address, struct oh_block *block);
// The same without looking at what was there.
bool oh_live_remove(uint64_t address);

#endif
