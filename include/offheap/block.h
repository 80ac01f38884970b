// SPDX-License-Identifier: Apache-2.0
//
// A live block as its two words in a recording (struct oh_format_block), and back. Pure functions,
// any thread.

#ifndef OFFHEAP_BLOCK_H
#define OFFHEAP_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"

#define OH_BLOCK_NO_TIME UINT32_MAX // Of a block of 4 GiB and more.

struct oh_block {
    uint64_t address;
    uint64_t size;   // As requested, in bytes.
    uint32_t stack;  // As in an index word.
    uint32_t time_s; // Seconds since start_monotonic_ns.
    uint32_t mean;   // Number of its mean in the header's means.
};

enum {
    OH_BLOCK_PLACE_SHIFT = OH_BLOCK_TIME_BITS + OH_BLOCK_MEAN_BITS,
    OH_BLOCK_KEY_SHIFT = OH_BLOCK_PLACE_SHIFT - OH_BLOCK_ADDRESS_SHIFT,
    OH_BLOCK_VALUE_BITS = 64 - OH_BLOCK_KEY_SHIFT, // An address or a size has fewer.
    OH_BLOCK_TIME_MASK = (1 << OH_BLOCK_TIME_BITS) - 1,
    OH_BLOCK_SECOND_BITS = 11, // Seconds below twice this power of two are kept to the second.
};

_Static_assert(OH_FORMAT_MEANS == 1 << OH_BLOCK_MEAN_BITS, "a mean's number fits");

// The upper bits of `place` that an address alone decides, and whether a word is of that address.
static inline uint64_t oh_block_key(uint64_t address)
{
    return address << OH_BLOCK_KEY_SHIFT;
}

static inline bool oh_block_is_at(uint64_t place, uint64_t key)
{
    return (place ^ key) >> OH_BLOCK_PLACE_SHIFT == 0;
}

// Whether the words can hold such a block: every one that an allocator of this platform returns.
static inline bool oh_block_fits(uint64_t address, uint64_t size)
{
    return address != 0 && (address & ((1 << OH_BLOCK_ADDRESS_SHIFT) - 1)) == 0 &&
           (address | size) >> OH_BLOCK_VALUE_BITS == 0;
}

// Seconds as a number of 11 bits with an exponent of 4: exact below 4096 (68 minutes), then rounded
// down by less than 1/2048, and at most 2 years.
static inline uint32_t oh_block_pack_time(uint32_t seconds)
{
    const uint32_t one = 1u << OH_BLOCK_SECOND_BITS;
    if (seconds < one)
        return seconds;
    uint32_t exponent = (uint32_t)(31 - __builtin_clz(seconds)) - OH_BLOCK_SECOND_BITS + 1;
    uint32_t packed = exponent << OH_BLOCK_SECOND_BITS | ((seconds >> (exponent - 1)) & (one - 1));
    return packed <= OH_BLOCK_TIME_MASK ? packed : OH_BLOCK_TIME_MASK;
}

static inline uint32_t oh_block_unpack_time(uint32_t packed)
{
    const uint32_t one = 1u << OH_BLOCK_SECOND_BITS;
    uint32_t exponent = packed >> OH_BLOCK_SECOND_BITS;
    return exponent == 0 ? packed : (one | (packed & (one - 1))) << (exponent - 1);
}

static inline bool oh_block_is_large(uint64_t size)
{
    return size >> 32 != 0;
}

// The two words; the block fits.
static inline uint64_t oh_block_place(const struct oh_block *block)
{
    uint64_t low =
        oh_block_is_large(block->size) ? block->size >> 32 : oh_block_pack_time(block->time_s);
    return oh_block_key(block->address) | (uint64_t)block->mean << OH_BLOCK_TIME_BITS | low;
}

static inline uint64_t oh_block_facts(const struct oh_block *block)
{
    return block->size << OH_BLOCK_SIZE_SHIFT |
           (uint64_t)oh_block_is_large(block->size) << OH_BLOCK_LARGE_BIT | block->stack;
}

static inline struct oh_block oh_block_unpack(uint64_t place, uint64_t facts)
{
    bool large = (facts >> OH_BLOCK_LARGE_BIT & 1) != 0;
    uint32_t low = (uint32_t)place & OH_BLOCK_TIME_MASK;
    struct oh_block block = {
        .address = place >> OH_BLOCK_PLACE_SHIFT << OH_BLOCK_ADDRESS_SHIFT,
        .size = facts >> OH_BLOCK_SIZE_SHIFT | (large ? (uint64_t)low << 32 : 0),
        .stack = (uint32_t)facts & ((1u << OH_BLOCK_STACK_BITS) - 1),
        .time_s = large ? OH_BLOCK_NO_TIME : oh_block_unpack_time(low),
        .mean = (uint32_t)(place >> OH_BLOCK_TIME_BITS) & (OH_FORMAT_MEANS - 1),
    };
    return block;
}

#endif
