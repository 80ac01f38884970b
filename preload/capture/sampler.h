// SPDX-License-Identifier: Apache-2.0
//
// Which allocations are recorded, and what each then stands for. SAMPLING.md derives the estimator.
//
// Sampling points lie on the stream of allocated bytes as a Poisson process of mean distance R. An
// allocation of n bytes is taken when at least one point falls into it, so with probability
// 1 - exp(-n/R), and then stands for 1/(1 - exp(-n/R)) objects. A thread keeps the distance to its
// next point in `countdown`, an integer that is geometrically distributed; the process has no
// memory, so a new thread draws its first distance like every other.
//
// The mean may change while threads run (capture/budget changes it): it is one of a fixed ladder,
// and an allocation's weight is that of the mean under which it was decided. No thread is told of a
// change. Instead a thread comes here at the latest when it has allocated a chunk of a few means,
// and draws anew under the mean of then. Each thread has, besides the countdown:
//   slack  countdown + slack is what is left of the chunk: an allocation that is as large brings
//          the thread here wherever the point lies. Only then may the point be thrown away.
//   mean   the place on the ladder of the mean under which the countdown was drawn.
// A new thread has no chunk (both 0): its first allocation is such a one.
//
// Shared: `now`, one word, stored by the controller and loaded here, relaxed; nothing is published
// by it, since the ladder is constant once threads are decided for. Everything else is per thread:
// any thread, no locks, no libm. A signal handler may not come here while its thread is here:
// track.c sees to it (`busy`).

#ifndef OH_CAPTURE_SAMPLER_H
#define OH_CAPTURE_SAMPLER_H

#include <stdint.h>

#include "base/thread.h"
#include "offheap/format.h"

// Once: one mean distance in bytes for good (1 records every allocation), and the scale of weights.
void oh_sampler_init(uint64_t sample_bytes, uint32_t weight_shift);
// Once, instead: OH_FORMAT_MEANS of them, rising, each at least 2, and the place of the first.
void oh_sampler_init_ladder(const uint64_t *means, uint32_t first, uint32_t weight_shift);
void oh_sampler_set_mean(uint32_t place);

// For an allocation of `size` bytes that did not pass `countdown`: 0 when it is not taken, else its
// weight in units of 2^-weight_shift, and in *mean the place of the mean under which it was
// decided. Sets the thread's next countdown.
uint64_t oh_sampler_decide(struct oh_thread *thread, uint64_t size, uint32_t *mean);

#endif
