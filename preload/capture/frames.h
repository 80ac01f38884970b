// SPDX-License-Identifier: Apache-2.0
//
// Where a capture puts its addresses, leaf first. Plain memory of the capturing thread.

#ifndef OH_CAPTURE_FRAMES_H
#define OH_CAPTURE_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

struct oh_frames {
    uint64_t *pcs;
    unsigned count;
    unsigned max;
};

// False when there is no room.
static inline bool oh_frames_add(struct oh_frames *frames, uint64_t pc)
{
    if (frames->count == frames->max)
        return false;
    frames->pcs[frames->count++] = pc;
    return true;
}

#endif
