// SPDX-License-Identifier: Apache-2.0
#include "capture/quick.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/quick_step.h"

uint64_t oh_quick_table[OH_QUICK_WORD_COUNT] OH_HIDDEN __attribute__((aligned(64)));

OH_NOINLINE uint64_t oh_quick_find_in_line(uint64_t permuted, uint64_t name)
{
    const uint64_t *line =
        &oh_quick_table[permuted >> (64 - OH_QUICK_LINE_BITS)
                                        << (OH_QUICK_INDEX_BITS - OH_QUICK_LINE_BITS)];
    for (unsigned i = 0; i < OH_QUICK_LINE_WORDS; i++) {
        uint64_t row = oh_load_relaxed(&line[i]) ^ name;
        if (oh_quick_is_row(row))
            return row;
    }
    return OH_QUICK_NO_ROW;
}

// What is read: words at most OH_QUICK_PLACE_MAX words below a CFA, which lies above the stack
// pointer; and below the first stack pointer is this very function's frame, with the addresses.
// Above: the CFA is never higher than the last whole word.
enum oh_quick_end oh_quick_walk(struct oh_frames *frames, struct oh_caller *at,
                                struct oh_readable *stack)
{
    struct oh_caller here = *at;
    uint64_t *out = frames->pcs + frames->count;
    const uint64_t *const end = frames->pcs + frames->max;
    const uint64_t generation = oh_quick_generation(oh_rows_generation());
    uint64_t last = stack->end - OH_QUICK_WORD_BYTES;
    enum oh_quick_end result;
    if (here.sp < stack->begin)
        return OH_QUICK_STOP;
    for (;;) {
        uint64_t row = oh_quick_row(here.pc, generation);
        uint64_t cfa = oh_quick_cfa(row, &here, last);
        if (oh_unlikely(cfa - 1 >= last)) {
            if (cfa == 0 || !oh_readable_grow(stack, cfa + OH_QUICK_WORD_BYTES - 1)) {
                result = oh_quick_stop(row, here.pc);
                break;
            }
            last = stack->end - OH_QUICK_WORD_BYTES;
        }
        if (oh_unlikely(out == end)) {
            result = OH_QUICK_FULL;
            break;
        }
        *out++ = here.pc;
        uint64_t place = oh_quick_bp_place(row, here.bp, cfa);
        if (place != 0)
            here.bp = oh_word_at(place);
        here.pc = oh_word_at(cfa - OH_QUICK_WORD_BYTES);
        here.sp = cfa;
    }
    if (result == OH_QUICK_END && here.pc != 0) {
        if (out == end)
            result = OH_QUICK_FULL;
        else
            *out++ = here.pc;
    }
    frames->count = (unsigned)(out - frames->pcs);
    *at = here;
    return result;
}

// The row as a short one, OH_QUICK_NO_ROW when it does not fit.
static uint64_t shorten(const union oh_row *row)
{
    int64_t offset = row->cfa_offset;
    int64_t place = -(int64_t)row->saved[OH_REG_BP];
    switch ((enum oh_row_kind)row->kind) {
    case OH_ROW_END: return (uint64_t)OH_QUICK_PLACE_END << OH_QUICK_ROW_PLACE_SHIFT;
    case OH_ROW_REALIGNED:
        return offset <= 0 && offset % OH_QUICK_WORD_BYTES == 0 &&
                       -offset / OH_QUICK_WORD_BYTES + OH_QUICK_PLACE_REALIGNED <=
                           OH_QUICK_PLACE_MAX &&
                       -offset / OH_QUICK_WORD_BYTES + OH_QUICK_PLACE_REALIGNED > OH_QUICK_PLACE_END
                   ? (uint64_t)(-offset / OH_QUICK_WORD_BYTES + OH_QUICK_PLACE_REALIGNED)
                         << OH_QUICK_ROW_PLACE_SHIFT
                   : OH_QUICK_NO_ROW;
    case OH_ROW_PLAIN:
        if (offset <= 0 || (offset & ~(int64_t)OH_QUICK_ROW_BYTES_MASK) != 0 || place < 0 ||
            place > OH_QUICK_PLACE_MAX ||
            (row->cfa_register != OH_REG_SP && row->cfa_register != OH_REG_BP))
            return OH_QUICK_NO_ROW;
        return (uint64_t)place << OH_QUICK_ROW_PLACE_SHIFT | (uint64_t)offset |
               (row->cfa_register == OH_REG_BP ? OH_QUICK_ROW_BASE_BP : 0);
    case OH_ROW_COMPLEX:
    case OH_ROW_SIGNAL:
    case OH_ROW_NONE: break;
    }
    return OH_QUICK_NO_ROW;
}

// The word of the line to write a row to: the first to be looked at, if it is free, or any that is.
static uint64_t *choose_word(uint64_t permuted, uint64_t generation)
{
    const uint64_t mask = oh_quick_generation(OH_QUICK_GENERATIONS - 1);
    uint64_t first = permuted >> (64 - OH_QUICK_INDEX_BITS);
    for (unsigned i = 0; i < OH_QUICK_LINE_WORDS; i++) {
        uint64_t *word = &oh_quick_table[first ^ i];
        uint64_t seen = oh_load_relaxed(word);
        if (seen == 0 || (seen & mask) != generation)
            return word;
    }
    return &oh_quick_table[first];
}

void oh_quick_insert(const struct oh_row_key *key, const union oh_row *row)
{
    uint64_t generation = oh_quick_generation(key->generation);
    uint64_t permuted = oh_quick_permute(key->pc);
    uint64_t name = oh_quick_name(permuted, generation);
    uint64_t code =
        key->after_call && key->pc >> OH_QUICK_PC_BITS == 0 ? shorten(row) : OH_QUICK_NO_ROW;
    if (code == OH_QUICK_NO_ROW || oh_rows_generation() != key->generation ||
        oh_quick_find_in_line(permuted, name) != OH_QUICK_NO_ROW)
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
    for (size_t i = 0; i < OH_QUICK_WORD_COUNT; i++)
        oh_store_relaxed(&oh_quick_table[i], 0);
}
