// SPDX-License-Identifier: Apache-2.0
//
// Memory within a jump's reach of other code. Maps by system calls and allocates nothing; no state,
// any thread.

#ifndef OH_PATCH_NEAR_H
#define OH_PATCH_NEAR_H

#include <stddef.h>
#include <stdint.h>

struct oh_near_place {
    uint64_t begin, end; // What every byte must be in reach of.
    uint64_t bytes;      // Whole pages.
    uint64_t last;       // Where the last map ends that was looked at.
    uint64_t below, above;
};

// Looks at the maps of a process, lowest first. oh_near_best then says where the bytes fit so that a
// jump reaches from each of them to each of [begin, end), and back: next below that, or as far above
// it as possible (behind an executable its heap grows); 0: nowhere.
void oh_near_init(struct oh_near_place *place, uint64_t begin, uint64_t end, uint64_t bytes);
void oh_near_add(struct oh_near_place *place, uint64_t map_begin, uint64_t map_end);
uint64_t oh_near_best(const struct oh_near_place *place);

// Maps such a place of this process, readable and writable: its address, or a negative error number.
long oh_near_map(uint64_t begin, uint64_t end, size_t bytes);

#endif
