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
// Per-thread state only: any thread, no locks, no libm.

#ifndef OH_CAPTURE_SAMPLER_H
#define OH_CAPTURE_SAMPLER_H

#include <stdint.h>

#include "base/thread.h"

// Once: mean distance in bytes (1 records every allocation) and the scale of weights.
void oh_sampler_init(uint64_t sample_bytes, uint32_t weight_shift);

// For an allocation of `size` bytes that did not pass `countdown`: 0 when it is not taken, else its
// weight in units of 2^-weight_shift (offheap/weight.h). Sets the thread's next countdown.
uint64_t oh_sampler_decide(struct oh_thread *thread, uint64_t size);

// -ln(u) for 0 < u <= 1; relative error below 1e-12.
double oh_sampler_minus_log(double u);

#endif
