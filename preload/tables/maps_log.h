// SPDX-License-Identifier: Apache-2.0
//
// The log and the tables of maps as tables/maps, which writes them, and tables/maps_find, which looks
// at them, share them. For no other module; states, order and what a reader must look at again:
// tables/maps.h.

#ifndef OH_TABLES_MAPS_LOG_H
#define OH_TABLES_MAPS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "offheap/format.h"
#include "offheap/paint.h"

// What is read of the table that holds, when the word `current` was this.
struct oh_maps_held {
    uint64_t current;
    uint64_t first, count;
    struct oh_format_range *ranges;
};

struct oh_maps_held oh_maps_held_now(void);
bool oh_maps_still_holds(const struct oh_maps_held *held);
struct oh_format_range oh_maps_range_at(const void *held, uint64_t number); // As oh_paint_range_fn.

struct oh_format_map_event *oh_maps_event_at(uint64_t ticket);
uint64_t oh_maps_next(void);                              // The ticket after the last.
bool oh_maps_is_reserve(const void *arg, uint32_t stack); // As oh_paint_reserve_fn.

// Room to paint on, with all signals blocked until it is given back. NULL: none is free.
struct oh_paint_cell *oh_maps_borrow_cells(uint64_t *blocked);
void oh_maps_return_cells(const struct oh_paint_cell *cells, uint64_t blocked);

// Words that two processes share.
static inline struct oh_format_range oh_maps_load_range(const struct oh_format_range *from)
{
    return (struct oh_format_range){oh_load_acquire(&from->begin), oh_load_acquire(&from->end),
                                    oh_load_acquire(&from->facts), oh_load_acquire(&from->call)};
}

static inline uint64_t oh_maps_state_of(uint64_t ticket, enum oh_map_phase phase)
{
    return ticket << OH_MAP_PHASE_BITS | (uint64_t)phase;
}

#endif
