// SPDX-License-Identifier: Apache-2.0
//
// Where the sections of a recording lie: a pure function of the mode and the bound. The levels of
// all tables are interleaved, smallest first, so that the file's length follows what is in use.
//
// INDEX and STACKS grow by levels of four times the size. LIVE grows by less than doubling: a level
// that has just been opened is soon touched on all its pages and still holds little, so its size is
// what a live block costs at worst (tables/live.h). MAPS grows by levels of eight times the size.

#ifndef OH_RECORDING_LAYOUT_H
#define OH_RECORDING_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"

// Fills header->sections and section_count so that the last byte lies below max_bytes; returns the
// end of the last section. Needs max_bytes >= 2 MiB (the configuration's lower bound).
uint64_t oh_layout_plan(struct oh_format_header *header, bool exact, uint64_t max_bytes);

#endif
