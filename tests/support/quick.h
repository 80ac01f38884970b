// SPDX-License-Identifier: Apache-2.0
//
// What the quick walk's table has for an address, as a walk of one frame tells it. Any thread.

#ifndef OH_TEST_QUICK_H
#define OH_TEST_QUICK_H

#include <stdint.h>

#include "capture/quick.h"

// Bytes from the stack pointer to the CFA by the row of pc, at most 32 KiB; 0: there is none.
static inline uint64_t oh_quick_bytes_of(uint64_t pc)
{
    static uint64_t words[4096 + 1];
    uint64_t pcs[1];
    uint64_t sp = (uint64_t)(uintptr_t)words;
    struct oh_frames frames = {pcs, 0, 1};
    struct oh_readable range = {sp, UINT64_MAX - 8, 0};
    struct oh_caller at = {pc, sp, 0};
    (void)oh_quick_walk(&frames, &at, &range);
    return at.sp - sp;
}

#endif
