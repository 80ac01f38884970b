// SPDX-License-Identifier: Apache-2.0
#include "capture/quick.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"

enum {
    WORD_BYTES = 8,
    LINE_BITS = 11,
    LINE_WORDS = 8,
    INDEX_BITS = LINE_BITS + 3,
    WORD_COUNT = 1 << INDEX_BITS, // 128 KiB of zero pages, touched as they are used.
    PC_BITS = 48,
    // A word, from the lowest bit: the row, the generation, what the line does not tell of the
    // permuted address.
    ROW_BITS = 20,
    GENERATION_BITS = 7,
    NAME_BITS = PC_BITS - LINE_BITS,
    // A row, from the lowest bit: whether the frame pointer is the base; two bits that are 0; the
    // bytes from the base to the CFA, 12 bits of words; where the frame pointer was saved, 5 bits,
    // in words below the CFA, 0 when it was not. Without bytes: of what other kind the row is.
    ROW_BASE_BP = 1,
    ROW_BYTES_MASK = 0x7ff8,
    ROW_PLACE_SHIFT = 15,
    PLACE_MAX = 31,
    PLACE_END = 1,       // Without bytes: the outermost function.
    PLACE_REALIGNED = 1, // Without bytes: realigned, this many more than the words.
    NO_ROW = 0           // Neither bytes nor a place: an empty word's.
};

_Static_assert(ROW_BITS + GENERATION_BITS + NAME_BITS == 64, "a word is full");
_Static_assert(OH_QUICK_GENERATIONS == 1 << GENERATION_BITS, "the header says how many");

static uint64_t table[WORD_COUNT] __attribute__((aligned(64)));

// A permutation of the addresses, in the upper 48 bits.
static inline uint64_t permute(uint64_t pc)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4b);
    return pc * (odd << (64 - PC_BITS));
}

// What a word with a row of this address and generation has above the row.
static inline uint64_t name_of(uint64_t permuted, uint64_t generation)
{
    return (permuted << LINE_BITS) ^ generation;
}

static inline uint64_t generation_bits(uint32_t generation)
{
    return (uint64_t)(generation % OH_QUICK_GENERATIONS) << ROW_BITS;
}

static inline bool is_row(uint64_t word_less_name)
{
    return word_less_name >> ROW_BITS == 0;
}

// The row of that name in the line, or NO_ROW.
static OH_NOINLINE uint64_t find_in_line(uint64_t permuted, uint64_t name)
{
    const uint64_t *line = &table[permuted >> (64 - LINE_BITS) << (INDEX_BITS - LINE_BITS)];
    for (unsigned i = 0; i < LINE_WORDS; i++) {
        uint64_t row = oh_load_relaxed(&line[i]) ^ name;
        if (is_row(row))
            return row;
    }
    return NO_ROW;
}

// From a frame that was realigned: its CFA, and the caller's frame pointer.
static inline bool pass_realigned(uint64_t place, uint64_t sp, uint64_t last, uint64_t *bp,
                                  uint64_t *cfa)
{
    uint64_t below = (place - PLACE_REALIGNED) * WORD_BYTES;
    if (*bp > last || *bp < sp || *bp - sp < below)
        return false;
    *cfa = oh_word_at(*bp - below);
    *bp = oh_word_at(*bp);
    return *cfa > sp;
}

static enum oh_quick_end end_at(uint64_t pc, uint64_t **out, const uint64_t *end)
{
    if (*out == end)
        return OH_QUICK_FULL;
    *(*out)++ = pc;
    return OH_QUICK_END;
}

// Code without a row. Nothing called the frame whose return address is 0.
static enum oh_quick_end stop_at(uint64_t pc)
{
    return pc == 0 ? OH_QUICK_END : OH_QUICK_STOP;
}

// What is read: words at most PLACE_MAX words below a CFA, which lies above the stack pointer; and
// below the first stack pointer is this very function's frame, with the addresses. Above: the CFA is
// never higher than the last whole word.
enum oh_quick_end oh_quick_walk(struct oh_frames *frames, struct oh_caller *at,
                                struct oh_readable *stack)
{
    uint64_t pc = at->pc, sp = at->sp, bp = at->bp;
    uint64_t *out = frames->pcs + frames->count;
    const uint64_t *const end = frames->pcs + frames->max;
    const uint64_t generation = generation_bits(oh_rows_generation());
    uint64_t last = stack->end - WORD_BYTES;
    enum oh_quick_end result = OH_QUICK_STOP;
    if (sp < stack->begin)
        return OH_QUICK_STOP;
    for (;;) {
        uint64_t permuted = permute(pc);
        uint64_t name = name_of(permuted, generation);
        uint64_t row = oh_load_relaxed(&table[permuted >> (64 - INDEX_BITS)]) ^ name;
        uint64_t cfa;
        if (oh_unlikely(!is_row(row)))
            row = find_in_line(permuted, name);
        uint64_t bytes = row & ROW_BYTES_MASK;
        uint64_t place = row >> ROW_PLACE_SHIFT;
        if (row & ROW_BASE_BP) {
            cfa = bp + bytes;
            if (oh_unlikely(cfa <= sp))
                break;
        } else if (oh_likely(bytes != 0)) {
            cfa = sp + bytes;
        } else if (place > PLACE_END) {
            if (!pass_realigned(place, sp, last, &bp, &cfa))
                break;
            place = 0;
        } else {
            result = place == PLACE_END ? end_at(pc, &out, end) : stop_at(pc);
            break;
        }
        if (oh_unlikely(cfa > last)) {
            if (!oh_readable_grow(stack, cfa + WORD_BYTES - 1))
                break;
            last = stack->end - WORD_BYTES;
        }
        if (oh_unlikely(out == end)) {
            result = OH_QUICK_FULL;
            break;
        }
        *out++ = pc;
        if (place != 0)
            bp = oh_word_at(cfa - place * WORD_BYTES);
        pc = oh_word_at(cfa - WORD_BYTES);
        sp = cfa;
    }
    frames->count = (unsigned)(out - frames->pcs);
    *at = (struct oh_caller){.pc = pc, .sp = sp, .bp = bp};
    return result;
}

// The row as a short one, NO_ROW when it does not fit.
static uint64_t shorten(const union oh_row *row)
{
    int64_t offset = row->cfa_offset;
    int64_t place = -(int64_t)row->saved[OH_REG_BP];
    switch ((enum oh_row_kind)row->kind) {
    case OH_ROW_END: return (uint64_t)PLACE_END << ROW_PLACE_SHIFT;
    case OH_ROW_REALIGNED:
        return offset <= 0 && offset % WORD_BYTES == 0 &&
                       -offset / WORD_BYTES + PLACE_REALIGNED <= PLACE_MAX &&
                       -offset / WORD_BYTES + PLACE_REALIGNED > PLACE_END
                   ? (uint64_t)(-offset / WORD_BYTES + PLACE_REALIGNED) << ROW_PLACE_SHIFT
                   : NO_ROW;
    case OH_ROW_PLAIN:
        if (offset <= 0 || (offset & ~(int64_t)ROW_BYTES_MASK) != 0 || place < 0 ||
            place > PLACE_MAX || (row->cfa_register != OH_REG_SP && row->cfa_register != OH_REG_BP))
            return NO_ROW;
        return (uint64_t)place << ROW_PLACE_SHIFT | (uint64_t)offset |
               (row->cfa_register == OH_REG_BP ? ROW_BASE_BP : 0);
    case OH_ROW_COMPLEX:
    case OH_ROW_SIGNAL:
    case OH_ROW_NONE: break;
    }
    return NO_ROW;
}

// The word of the line to write a row to: the first to be looked at, if it is free, or any that is.
static uint64_t *choose_word(uint64_t permuted, uint64_t generation)
{
    const uint64_t mask = generation_bits(OH_QUICK_GENERATIONS - 1);
    uint64_t first = permuted >> (64 - INDEX_BITS);
    for (unsigned i = 0; i < LINE_WORDS; i++) {
        uint64_t *word = &table[first ^ i];
        uint64_t seen = oh_load_relaxed(word);
        if (seen == 0 || (seen & mask) != generation)
            return word;
    }
    return &table[first];
}

void oh_quick_insert(const struct oh_row_key *key, const union oh_row *row)
{
    uint64_t generation = generation_bits(key->generation);
    uint64_t permuted = permute(key->pc);
    uint64_t name = name_of(permuted, generation);
    uint64_t code = key->after_call && key->pc >> PC_BITS == 0 ? shorten(row) : NO_ROW;
    if (code == NO_ROW || oh_rows_generation() != key->generation ||
        find_in_line(permuted, name) != NO_ROW)
        return;
    uint64_t *word = choose_word(permuted, generation);
    uint64_t stored = name | code;
    oh_store_relaxed(word, stored);
    if (oh_rows_generation() != key->generation)
        (void)oh_cas_relaxed(word, &stored, 0);
}

void oh_quick_prepare(uint32_t generation)
{
    if (generation % OH_QUICK_GENERATIONS != 0)
        return;
    for (size_t i = 0; i < WORD_COUNT; i++)
        oh_store_relaxed(&table[i], 0);
}
