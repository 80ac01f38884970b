// SPDX-License-Identifier: Apache-2.0
//
// The live blocks, in the recording (section LIVE): address -> size, stack, time, mean. An entry is
// two words in one cache line; a level is an array of such lines, four entries each.
//
// Search. What lies together in the heap comes and goes together, so it stands together: 2^13 bytes
//   of addresses (a region) have their home lines in one page of a level, 128 bytes of heap a line.
//   Which page is hashed, differently in every level. An entry stands at home: in its home line or
//   in the line beside it. All homes are looked at, newest level first. An insertion has to look
//   for its own address in the home lines of the region's levels; it takes the first free entry
//   that it sees there, and looks further only when there is none. When all homes are full (regions
//   of many small blocks, two regions with one page) it stands away: in one of OH_LIVE_AWAY groups
//   of OH_LIVE_GROUP lines a level, which are named by the hash of the whole address, so that every
//   page gets filled. An insertion looks at all of these while the table is small and when no
//   further level can be opened; else it looks at two and then opens a level of seven tenths of
//   what there was.
// Cost. The pages of the table that hold something are at most 46 bytes a live block from 10,000 on
//   and 40 from 100,000, mostly 20 to 30, also where all blocks are as small as they get or all are
//   page-aligned (test_live). The file reserves up to 64: pages that nothing was put in are on the
//   disk only.
// Regions. A word for each region, in memory of this process, says in which levels blocks of it
//   ever stood at home, and in which away: the others are not searched. Bits are only ever set
//   (relaxed), before the block is published; who frees it got its address from there. 2^15 words
//   are shared by regions 2^28 bytes apart, which only makes a search longer.
//
// States of an entry's `place`: EMPTY -> BUSY -> the address -> EMPTY, and so on; the address ->
//   BUSY by an insertion of the same address, whose free went unseen. BUSY: one thread writes the
//   facts beside it.
// Writers. Insert: the thread that was given the block, before the host sees its address. Remove:
//   the thread that frees it; the host guarantees that this is one thread, and if it does not (a
//   double free), the compare-and-swap lets one of them win.
// Publication. oh_live_claim makes an entry BUSY (oh_cas_acq_rel); oh_live_publish writes the
//   facts, then stores the place with release. Remove and the readers load the place with acquire,
//   then the facts. What the caller counts between the two is counted before a reader can see the
//   block.
// Progress. Two lines a level, then the groups of a level, each slot looked at twice at most, no
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

enum {
    OH_LIVE_LINE_BLOCKS = 4,
    OH_LIVE_REGION_BITS = 13,
    OH_LIVE_GROUP = 8, // Lines; a power of two that divides those of a page.
    OH_LIVE_AWAY = 8
};

// Once, after the recording was made.
void oh_live_init(void);

// An entry for a block that fits (block.h), or NULL when there is no place (counted). When the
// address is there already, a free of it went unseen: its entry is taken over if it stands in
// its home line (to look at more on every insertion would cost too much), and *replaced tells.
struct oh_format_block *oh_live_claim(uint64_t address, bool *replaced);
// Makes the block live: `entry` is what oh_live_claim gave for its address.
void oh_live_publish(struct oh_format_block *entry, const struct oh_block *block);

// Takes a block out: true with *block filled, or false when it is not recorded.
bool oh_live_take(uint64_t address, struct oh_block *block);
// The same for who only asks for its size.
bool oh_live_remove(uint64_t address, uint64_t *size);

#endif
