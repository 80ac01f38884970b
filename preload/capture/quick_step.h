// SPDX-License-Identifier: Apache-2.0
//
// One step of the quick walk, for the functions that loop over it: how a word of the table
// (quick.h) is found and what the row in it says. For quick.c and recall.c only. The state that is
// stepped from is an oh_caller: the frame's address, stack pointer and frame pointer.

#ifndef OH_CAPTURE_QUICK_STEP_H
#define OH_CAPTURE_QUICK_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/quick.h"
#include "capture/registers_x86_64.h"

enum {
    OH_QUICK_WORD_BYTES = 8,
    OH_QUICK_LINE_BITS = 11,
    OH_QUICK_LINE_WORDS = 8,
    OH_QUICK_INDEX_BITS = OH_QUICK_LINE_BITS + 3,
    // 128 KiB of zero pages, touched as they are used.
    OH_QUICK_WORD_COUNT = 1 << OH_QUICK_INDEX_BITS,
    OH_QUICK_PC_BITS = 48,
    // A word, from the lowest bit: the row, the generation, what the line does not tell of the
    // permuted address.
    OH_QUICK_ROW_BITS = 20,
    OH_QUICK_GENERATION_BITS = 7,
    OH_QUICK_NAME_BITS = OH_QUICK_PC_BITS - OH_QUICK_LINE_BITS,
    // A row, from the lowest bit: whether the frame pointer is the base; two bits that are 0; the
    // bytes from the base to the CFA, 12 bits of words; where the frame pointer was saved, 5 bits,
    // in words below the CFA, 0 when it was not. Without bytes: of what other kind the row is.
    OH_QUICK_ROW_BASE_BP = 1,
    OH_QUICK_ROW_BYTES_MASK = 0x7ff8,
    OH_QUICK_ROW_PLACE_SHIFT = 15,
    OH_QUICK_PLACE_MAX = 31,
    OH_QUICK_PLACE_END = 1,       // Without bytes: the outermost function.
    OH_QUICK_PLACE_REALIGNED = 1, // Without bytes: realigned, this many more than the words.
    OH_QUICK_NO_ROW = 0           // Neither bytes nor a place: an empty word's.
};

_Static_assert(OH_QUICK_ROW_BITS + OH_QUICK_GENERATION_BITS + OH_QUICK_NAME_BITS == 64,
               "a word is full");
_Static_assert(OH_QUICK_GENERATIONS == 1 << OH_QUICK_GENERATION_BITS, "the header says how many");

// Defined in quick.c; an extern because the walks look here for each frame.
extern uint64_t oh_quick_table[OH_QUICK_WORD_COUNT] OH_HIDDEN;

// A permutation of the addresses, in the upper 48 bits.
static inline uint64_t oh_quick_permute(uint64_t pc)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4b);
    return pc * (odd << (64 - OH_QUICK_PC_BITS));
}

// What a word with a row of this address and generation has above the row.
static inline uint64_t oh_quick_name(uint64_t permuted, uint64_t generation)
{
    return (permuted << OH_QUICK_LINE_BITS) ^ generation;
}

static inline uint64_t oh_quick_generation(uint32_t generation)
{
    return (uint64_t)(generation % OH_QUICK_GENERATIONS) << OH_QUICK_ROW_BITS;
}

static inline bool oh_quick_is_row(uint64_t word_less_name)
{
    return word_less_name >> OH_QUICK_ROW_BITS == 0;
}

// The row of that name in the line of the permuted address, or OH_QUICK_NO_ROW.
uint64_t oh_quick_find_in_line(uint64_t permuted, uint64_t name);

static inline uint64_t oh_quick_row(uint64_t pc, uint64_t generation)
{
    uint64_t permuted = oh_quick_permute(pc);
    uint64_t name = oh_quick_name(permuted, generation);
    uint64_t row = oh_load_relaxed(&oh_quick_table[permuted >> (64 - OH_QUICK_INDEX_BITS)]) ^ name;
    return oh_likely(oh_quick_is_row(row)) ? row : oh_quick_find_in_line(permuted, name);
}

// Whether the row is that of a realigned frame.
static inline bool oh_quick_is_realigned(uint64_t row)
{
    return (row & (OH_QUICK_ROW_BYTES_MASK | OH_QUICK_ROW_BASE_BP)) == 0 &&
           row >> OH_QUICK_ROW_PLACE_SHIFT > OH_QUICK_PLACE_END;
}

// Where a realigned frame has its CFA, by its frame pointer.
static inline uint64_t oh_quick_realigned_at(uint64_t row, uint64_t bp)
{
    return bp -
           ((row >> OH_QUICK_ROW_PLACE_SHIFT) - OH_QUICK_PLACE_REALIGNED) * OH_QUICK_WORD_BYTES;
}

// The frame's CFA, which lies above its stack pointer, or 0: there is none, or it makes no sense.
// Of a realigned frame it is read, from between the stack pointer and `last`.
static inline uint64_t oh_quick_cfa(uint64_t row, const struct oh_caller *at, uint64_t last)
{
    uint64_t bytes = row & OH_QUICK_ROW_BYTES_MASK;
    uint64_t cfa = at->sp + bytes;
    if (row & OH_QUICK_ROW_BASE_BP)
        cfa = at->bp + bytes;
    else if (oh_unlikely(bytes == 0)) {
        uint64_t place = oh_quick_realigned_at(row, at->bp);
        if (!oh_quick_is_realigned(row) || at->bp > last || at->bp < at->sp || place < at->sp ||
            place > at->bp)
            return 0;
        cfa = oh_word_at(place);
    }
    return oh_likely(cfa > at->sp) ? cfa : 0;
}

// Where the caller's frame pointer was saved, or 0 when the register has it still.
static inline uint64_t oh_quick_bp_place(uint64_t row, uint64_t bp, uint64_t cfa)
{
    uint64_t place = row >> OH_QUICK_ROW_PLACE_SHIFT;
    if (place == 0)
        return 0;
    return oh_unlikely((row & (OH_QUICK_ROW_BYTES_MASK | OH_QUICK_ROW_BASE_BP)) == 0)
               ? bp
               : cfa - place * OH_QUICK_WORD_BYTES;
}

// Why a frame has no CFA. Nothing called the one whose return address is 0.
static inline enum oh_quick_end oh_quick_stop(uint64_t row, uint64_t pc)
{
    bool is_end = row == (uint64_t)OH_QUICK_PLACE_END << OH_QUICK_ROW_PLACE_SHIFT || pc == 0;
    return is_end ? OH_QUICK_END : OH_QUICK_STOP;
}

#endif
