// SPDX-License-Identifier: Apache-2.0
#include "capture/sampler.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "offheap/hash.h"
#include "offheap/weight.h"

static struct {
    uint64_t mean;
    uint32_t weight_shift;
    uint64_t seed;
    uint64_t threads_seeded;
} sampler;

static const double ln2 = 0.69314718055994530942;

void oh_sampler_init(uint64_t sample_bytes, uint32_t weight_shift)
{
    sampler.mean = sample_bytes;
    sampler.weight_shift = weight_shift;
    if (oh_sys_getrandom(&sampler.seed, sizeof sampler.seed) != (long)sizeof sampler.seed)
        sampler.seed = oh_sys_clock_ns(CLOCK_MONOTONIC) ^ (uint64_t)oh_sys_getpid() << 32;
}

// ln(m) = 2 atanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)): |s| <= 0.172, and the first
// term left out is below 1e-15.
double oh_sampler_minus_log(double u)
{
    uint64_t bits = oh_bits_of_double(u);
    int exponent = (int)(bits >> 52) - 1023;
    double m = oh_double_of_bits((bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double series = 0;
    for (int n = 17; n >= 1; n -= 2)
        series = series * square + 1.0 / n;
    return -(2 * s * series + exponent * ln2);
}

// splitmix64: a Weyl sequence through a mixer; every thread begins at a place of its own.
static uint64_t next_random(struct oh_thread *thread)
{
    if (thread->random == 0) {
        uint64_t number = oh_add_relaxed(&sampler.threads_seeded, 1) + 1;
        thread->random = oh_hash_mix(sampler.seed ^ oh_hash_mix(number)) | 1;
    }
    thread->random += UINT64_C(0x9e3779b97f4a7c15);
    return oh_hash_mix(thread->random);
}

// The number of the byte, counted from 1, into which the next sampling point falls.
static uint64_t draw_distance(struct oh_thread *thread)
{
    double u = (double)((next_random(thread) >> 11) + 1) * 0x1p-53; // (0, 1]
    double distance = oh_sampler_minus_log(u) * (double)sampler.mean;
    return (uint64_t)distance + 1;
}

uint64_t oh_sampler_decide(struct oh_thread *thread, uint64_t size)
{
    if (sampler.mean <= 1) {
        thread->countdown = 0;
        return oh_weight_units(size, sampler.mean, sampler.weight_shift);
    }
    if (!thread->started) {
        thread->started = 1;
        thread->countdown = draw_distance(thread);
        if (size < thread->countdown) {
            thread->countdown -= size;
            return 0;
        }
    }
    thread->countdown = draw_distance(thread);
    return oh_weight_units(size, sampler.mean, sampler.weight_shift);
}
