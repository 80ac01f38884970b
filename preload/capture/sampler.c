// SPDX-License-Identifier: Apache-2.0
#include "capture/sampler.h"

#include "base/atomic.h"
#include "base/attr.h"
#include "base/logarithm.h"
#include "base/sys.h"
#include "offheap/hash.h"
#include "offheap/weight.h"

// A chunk is twice the mean: one in seven (exp(-2)) ends without a point, which costs a draw and no
// capture. It is chunk_most at most, so that a thread which allocates slowly finds out that the
// mean has come down again.
static const uint64_t chunk_means = 2;
static const uint64_t chunk_most = UINT64_C(32) << 20;
static const uint64_t chunk_endless = UINT64_C(1) << 62;

static struct {
    uint64_t means[OH_FORMAT_MEANS];
    uint64_t chunks[OH_FORMAT_MEANS];
    uint32_t now;
    uint32_t weight_shift;
    uint64_t seed;
    uint64_t threads_seeded OH_OWN_LINES;
} OH_OWN_LINES sampler;

static void init(uint32_t weight_shift)
{
    sampler.weight_shift = weight_shift;
    if (oh_sys_getrandom(&sampler.seed, sizeof sampler.seed) != (long)sizeof sampler.seed)
        sampler.seed = oh_sys_clock_ns(CLOCK_MONOTONIC) ^ (uint64_t)oh_sys_getpid() << 32;
}

void oh_sampler_init(uint64_t sample_bytes, uint32_t weight_shift)
{
    sampler.means[0] = sample_bytes;
    sampler.chunks[0] = chunk_endless;
    sampler.now = 0;
    init(weight_shift);
}

void oh_sampler_init_ladder(const uint64_t *means, uint32_t first, uint32_t weight_shift)
{
    for (uint32_t i = 0; i < OH_FORMAT_MEANS; i++) {
        uint64_t chunk = chunk_means * means[i];
        sampler.means[i] = means[i];
        sampler.chunks[i] = chunk < chunk_most ? chunk : chunk_most;
    }
    sampler.now = first;
    init(weight_shift);
}

void oh_sampler_set_mean(uint32_t place)
{
    oh_store32_relaxed(&sampler.now, place);
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
static uint64_t draw_distance(struct oh_thread *thread, uint32_t place)
{
    double u = (double)((next_random(thread) >> 11) + 1) * 0x1p-53; // (0, 1]
    double distance = oh_logarithm_minus(u) * (double)sampler.means[place];
    return (uint64_t)distance + 1;
}

// Begins a chunk. A point that lies behind its end is forgotten: it is drawn again there.
static void begin_chunk(struct oh_thread *thread, uint64_t distance, uint32_t place)
{
    uint64_t chunk = sampler.chunks[place];
    uint64_t countdown = distance < chunk ? distance : chunk;
    thread->countdown = countdown;
    thread->slack = chunk - countdown;
    thread->mean = place;
}

uint64_t oh_sampler_decide(struct oh_thread *thread, uint64_t size, uint32_t *mean)
{
    if (sampler.means[0] <= 1) {
        thread->countdown = 0;
        *mean = 0;
        return UINT64_C(1) << sampler.weight_shift;
    }
    uint64_t left = thread->countdown;
    if (size < left) { // A signal handler has drawn a new one since the hook looked.
        thread->countdown = left - size;
        return 0;
    }
    uint32_t now = oh_load32_relaxed(&sampler.now);
    uint32_t decided = thread->mean;
    if (size - left >= thread->slack) {
        uint64_t distance = draw_distance(thread, now);
        if (distance > size) {
            begin_chunk(thread, distance - size, now);
            return 0;
        }
        decided = now;
    }
    begin_chunk(thread, draw_distance(thread, now), now);
    *mean = decided;
    return oh_weight_units(size, sampler.means[decided], sampler.weight_shift);
}
