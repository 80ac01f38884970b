// SPDX-License-Identifier: Apache-2.0
//
// Hashing and weighted bytes that the writer and the readers of a recording must compute alike.
// Pure functions, any thread. Elsewhere: weights (weight.h), live blocks (block.h).

#ifndef OFFHEAP_HASH_H
#define OFFHEAP_HASH_H

#include <stdint.h>
#include <string.h>

#include "offheap/format.h"

// Mixes 64 bits so that every input bit reaches every output bit: two multiplications by odd
// constants with their upper half folded back (the finalizer construction of Stafford's Mix13).
static inline uint64_t oh_hash_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

// The frames of a stack are hashed from the root to the leaf, so that what a thread knows of the
// outer part of its stack holds while the inner part changes: `frames` is the hash of the callers
// of the frame with return address pc, 0 of the outermost.
static inline uint64_t oh_hash_frame(uint64_t frames, uint64_t pc)
{
    return (frames + pc) * UINT64_C(0x9e3779b97f4a7c15);
}

// All frames, leaf first.
static inline uint64_t oh_hash_frames(const uint64_t *pcs, uint32_t depth)
{
    uint64_t frames = 0;
    for (uint32_t i = depth; i-- > 0;)
        frames = oh_hash_frame(frames, pcs[i]);
    return frames;
}

// The identity of a stack by the hash of its frames, never 0.
static inline uint64_t oh_hash_stack_of(uint64_t epoch, uint32_t attributes, uint64_t frames,
                                        uint32_t depth)
{
    uint64_t h = oh_hash_mix(frames ^ oh_hash_mix(epoch ^ ((uint64_t)attributes << 32 | depth)));
    return h != 0 ? h : 1;
}

static inline uint64_t oh_hash_stack(uint64_t epoch, uint32_t attributes, const uint64_t *pcs,
                                     uint32_t depth)
{
    return oh_hash_stack_of(epoch, attributes, oh_hash_frames(pcs, depth), depth);
}

// What oh_hash_stack takes as attributes.
static inline uint32_t oh_stack_attributes(uint8_t kind, uint8_t phase, uint8_t end, uint8_t shard)
{
    return (uint32_t)kind | (uint32_t)phase << 8 | (uint32_t)end << 16 | (uint32_t)shard << 24;
}

// The bytes that an allocation of `size` bytes stands for when it stands for `weight` objects
// (in units of 2^-shift): the same number when it is counted and when it is taken off again.
static inline uint64_t oh_weighted_bytes(uint64_t size, uint64_t weight, uint32_t shift)
{
    return (uint64_t)(((unsigned __int128)size * weight) >> shift);
}

static inline double oh_double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t oh_bits_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
