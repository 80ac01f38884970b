// SPDX-License-Identifier: Apache-2.0
//
// What a stack had in use at earlier moments, in its record (struct oh_format_stack): eight values,
// each a rung of a ladder whose clock is four times as slow as that of the one before. Pure
// functions, any thread; the writer (tables/steps) and the readers must come to the same.
//
// Rung 0 is the newest value. Rung k takes over the value of rung k - 1 whenever a multiple of 4^k
// seconds is reached, before rung k - 1 changes. So at second t it holds the value of second
// oh_step_second(k, t), whose age lies between (4^k - 1) / 3 and (4^(k+1) - 1) / 3 - 1 seconds: 0,
// 1 to 4, 5 to 20, 21 to 84, 85 to 340, 341 to 1364, 1365 to 5460, 5461 to 21844 (an hour and a
// half to six hours).
//
// A value is one of the last time that somebody looked: where nobody did for a while the one before
// it stands for the seconds between.

#ifndef OFFHEAP_STEP_H
#define OFFHEAP_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offheap/format.h"
#include "offheap/hash.h"

enum { OH_STEP_VALUE_BITS = 27, OH_STEP_WORD_SHIFT = 32 };

// Bytes in 32 bits: 27 bits and above them an exponent of 5. Rounded down by less than 2^-26 of
// them, and at most 2^58.
static inline uint32_t oh_step_pack(uint64_t bytes)
{
    const uint64_t most = (UINT64_C(1) << OH_STEP_VALUE_BITS) - 1;
    uint32_t exponent = 0;
    if (bytes > most)
        exponent = 64 - (uint32_t)__builtin_clzll(bytes) - OH_STEP_VALUE_BITS;
    if (exponent >> (32 - OH_STEP_VALUE_BITS) != 0)
        return UINT32_MAX;
    return exponent << OH_STEP_VALUE_BITS | (uint32_t)(bytes >> exponent);
}

static inline uint64_t oh_step_unpack(uint32_t packed)
{
    uint64_t value = packed & ((1u << OH_STEP_VALUE_BITS) - 1);
    return value << (packed >> OH_STEP_VALUE_BITS);
}

// The second whose value a rung holds when the newest one is of second `now`; negative: before the
// recording began, when nothing was in use.
static inline int64_t oh_step_second(uint32_t rung, uint32_t now)
{
    uint32_t period = 1u << (2 * rung);
    return (int64_t)(now - now % period) - (int64_t)((period - 1) / 3);
}

// A stack's steps, read or to be written.
struct oh_step_row {
    uint32_t second; // Of values[0].
    uint32_t values[OH_FORMAT_STEP_RUNGS];
};

// The value at a second, packed: the latest one that is known of it or of a second before. Of
// seconds before the oldest one, that one.
static inline uint32_t oh_step_at(const struct oh_step_row *row, int64_t second)
{
    if (second < 0)
        return 0;
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++) {
        if (oh_step_second(rung, row->second) <= second)
            return row->values[rung];
    }
    return row->values[OH_FORMAT_STEP_RUNGS - 1];
}

// The row with one more value. False: it says the same of every second as before, and may stay.
static inline bool oh_step_bring_up(struct oh_step_row *row, uint32_t now, uint32_t packed)
{
    const struct oh_step_row before = *row;
    bool changed = false;
    row->second = now;
    row->values[0] = packed;
    for (uint32_t rung = 1; rung < OH_FORMAT_STEP_RUNGS; rung++)
        row->values[rung] = oh_step_at(&before, oh_step_second(rung, now));
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++)
        changed = changed || before.values[rung] != packed;
    return changed;
}

// The word that is stored after the values. One that does not agree with them was left by a writer
// that died between, or is being written.
static inline uint64_t oh_step_word(const struct oh_step_row *row)
{
    uint64_t check = row->second;
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++)
        check = oh_hash_frame(check, row->values[rung]);
    return (uint64_t)row->second << OH_STEP_WORD_SHIFT | oh_hash_mix(check) >> OH_STEP_WORD_SHIFT;
}

// The check of a whole step, never 0.
static inline uint64_t oh_step_check(const struct oh_format_step *step)
{
    enum { WORDS = sizeof *step / sizeof(uint64_t) };
    uint64_t words[WORDS], check = 0;
    memcpy(words, step, sizeof words);
    for (uint32_t i = offsetof(struct oh_format_step, time_ns) / sizeof(uint64_t); i < WORDS; i++)
        check = oh_hash_frame(check, words[i]);
    return oh_hash_mix(check) | 1;
}

// The place of a step in the ring of a rung. A ring takes the first step of each period of 4^rung
// seconds.
static inline uint32_t oh_step_place(uint32_t rung, uint32_t second)
{
    return (second >> (2 * rung)) % OH_FORMAT_STEP_PLACES;
}

#endif
