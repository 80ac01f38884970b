// SPDX-License-Identifier: Apache-2.0
//
// The first test of every hook that allocates: inline, because it is the whole price of most calls.

#ifndef OH_TRACK_COUNTDOWN_H
#define OH_TRACK_COUNTDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/thread.h"

// True when the allocation passes unrecorded; then the distance to the next sample is shorter. The
// countdown is read once: a signal handler that allocates in between loses its own bytes, but what
// is stored never wraps.
static inline bool oh_countdown_passes(size_t size)
{
    uint64_t *countdown = &oh_thread_self.countdown;
    uint64_t left = oh_load_relaxed(countdown);
    if (oh_unlikely(size >= left))
        return false;
    oh_store_relaxed(countdown, left - size);
    return true;
}

#endif
