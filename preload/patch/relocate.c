// SPDX-License-Identifier: Apache-2.0
#include "patch/relocate.h"

#include <stdbool.h>
#include <string.h>

#include "patch/decode.h"

enum {
    LONG_PREFIX = 0x0f,
    JUMP_IF_LONG = 0x80,
    CONDITION = 0x0f, // Of a conditional jump's opcode, short and long.
    JUMP_LONG = 0xe9,
    JUMP_SHORT = 0xeb,
    SHORT_BYTES = 2,
    DISPLACEMENT_BYTES = 4,
    INSTRUCTION_BYTES = 15, // At most, also of what stands for a short branch.
    SHORT_REACH = 128
};

static const uint8_t landing[] = {0xf3, 0x0f, 0x1e, 0xfa};

// The work on one function: reading at `read`, writing at out->code_bytes.
struct move {
    const struct oh_function *function;
    struct oh_relocated *out;
    uint64_t to;
    size_t read;
    size_t covered_end; // The jump will cover the function's bytes from out->jump_at up to here.
};

static void emit(struct move *move, const void *bytes, size_t size)
{
    memcpy(move->out->code + move->out->code_bytes, bytes, size);
    move->out->code_bytes += (uint32_t)size;
}

static void emit_byte(struct move *move, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    emit(move, &value, 1);
}

// The displacement that ends an instruction whose next one is at `next`.
static bool displacement(uint64_t next, uint64_t target, int32_t *out)
{
    *out = (int32_t)(uint32_t)(target - next);
    return next + (uint64_t)(int64_t)*out == target;
}

static enum oh_refusal emit_target(struct move *move, uint64_t target)
{
    int32_t distance;
    uint64_t next = move->to + move->out->code_bytes + DISPLACEMENT_BYTES;
    if (!displacement(next, target, &distance))
        return OH_REFUSED_out_of_reach;
    emit(move, &distance, sizeof distance);
    return OH_REFUSED_none;
}

static enum oh_refusal emit_jump(struct move *move, uint64_t target)
{
    emit_byte(move, JUMP_LONG);
    return emit_target(move, target);
}

static enum oh_refusal emit_jump_if(struct move *move, const struct oh_instruction *instruction)
{
    emit_byte(move, LONG_PREFIX);
    emit_byte(move, JUMP_IF_LONG | (instruction->opcode & CONDITION));
    return emit_target(move, instruction->target);
}

// Short to a long jump, past which the other way leads.
static enum oh_refusal emit_loop(struct move *move, const struct oh_instruction *instruction)
{
    emit_byte(move, instruction->opcode);
    emit_byte(move, SHORT_BYTES);
    emit_byte(move, JUMP_SHORT);
    emit_byte(move, OH_RELOCATE_JUMP_BYTES);
    return emit_jump(move, instruction->target);
}

static enum oh_refusal emit_same(struct move *move, const struct oh_instruction *instruction)
{
    uint64_t begin = move->to + move->out->code_bytes;
    uint8_t *copy = move->out->code + move->out->code_bytes;
    emit(move, move->function->code + move->read, instruction->length);
    if (instruction->rip_offset == 0)
        return OH_REFUSED_none;
    int32_t distance;
    uint64_t target = move->function->address + move->read + instruction->length +
                      (uint64_t)(int64_t)instruction->rip_displacement;
    if (!displacement(begin + instruction->length, target, &distance))
        return OH_REFUSED_out_of_reach;
    memcpy(copy + instruction->rip_offset, &distance, sizeof distance);
    return OH_REFUSED_none;
}

static enum oh_refusal emit_moved(struct move *move, const struct oh_instruction *instruction)
{
    switch (instruction->flow) {
    case OH_FLOW_NEXT:
    case OH_FLOW_END: return emit_same(move, instruction);
    case OH_FLOW_JUMP: return emit_jump(move, instruction->target);
    case OH_FLOW_JUMP_IF: return emit_jump_if(move, instruction);
    case OH_FLOW_LOOP: return emit_loop(move, instruction);
    case OH_FLOW_CALL: return OH_REFUSED_call;
    default: return OH_REFUSED_odd;
    }
}

static bool decode_at(const struct oh_function *function, size_t at, size_t end,
                      struct oh_instruction *out)
{
    return at < end && oh_decode(function->code + at, end - at, function->address + at, out);
}

// Behind a function that ends before the jump would: nothing may lie there.
static bool is_padded(const struct oh_function *function, size_t from, size_t to)
{
    struct oh_instruction instruction;
    for (size_t at = from; at < to; at += instruction.length) {
        if (!decode_at(function, at, function->room, &instruction) || !instruction.is_padding)
            return false;
    }
    return true;
}

static bool does_not_return_here(const struct oh_instruction *instruction)
{
    return instruction->flow == OH_FLOW_JUMP || instruction->flow == OH_FLOW_END;
}

// Moves whole instructions until a jump fits in their place.
static enum oh_refusal move_instructions(struct move *move)
{
    const struct oh_function *function = move->function;
    bool ended = false;
    while (move->read < move->covered_end && !ended) {
        struct oh_instruction instruction;
        if (move->read >= function->size)
            return OH_REFUSED_too_short;
        if (!decode_at(function, move->read, function->size, &instruction))
            return OH_REFUSED_unknown_code;
        // A breakpoint, or what somebody else put there.
        if (instruction.is_padding && instruction.flow == OH_FLOW_END)
            return OH_REFUSED_odd;
        enum oh_refusal refusal = emit_moved(move, &instruction);
        if (refusal != OH_REFUSED_none)
            return refusal;
        ended = does_not_return_here(&instruction);
        move->read += instruction.length;
    }
    if (!ended)
        return emit_jump(move, function->address + move->read);
    return move->read >= move->covered_end || is_padded(function, move->read, move->covered_end)
               ? OH_REFUSED_none
               : OH_REFUSED_too_short;
}

static bool is_covered(const struct move *move, uint64_t target)
{
    return target - move->function->address < move->covered_end;
}

// Whether four bytes of the code, taken for a branch's displacement, lead to where the jump will
// stand. Quick; true also where they are something else.
static bool may_lead_back(const struct move *move)
{
    const struct oh_function *function = move->function;
    for (size_t at = move->covered_end; at + DISPLACEMENT_BYTES <= function->size; at++) {
        int32_t distance;
        memcpy(&distance, function->code + at, sizeof distance);
        if (is_covered(move,
                       function->address + at + DISPLACEMENT_BYTES + (uint64_t)(int64_t)distance))
            return true;
    }
    return false;
}

// Whether a branch of the function leads to where the jump will stand. To its first byte, too: a
// loop that begins there expects its registers as it left them. Beyond the reach of short branches
// instructions are decoded only where a long one can be.
static enum oh_refusal look_for_branches(const struct move *move)
{
    const struct oh_function *function = move->function;
    size_t near = move->covered_end + SHORT_REACH + INSTRUCTION_BYTES;
    size_t end = near > function->size || may_lead_back(move) ? function->size : near;
    struct oh_instruction instruction;
    for (size_t at = 0; at < end; at += instruction.length) {
        if (!decode_at(function, at, function->size, &instruction))
            return OH_REFUSED_unknown_code;
        bool calls_itself =
            instruction.flow == OH_FLOW_CALL && instruction.target == function->address;
        if (instruction.direct && !calls_itself && is_covered(move, instruction.target))
            return OH_REFUSED_branch_inside;
    }
    return OH_REFUSED_none;
}

enum oh_refusal oh_relocate(const struct oh_function *function, uint64_t to,
                            struct oh_relocated *out)
{
    // As many instructions as a jump has bytes, and a jump behind them.
    _Static_assert((int)OH_RELOCATE_CODE_BYTES >=
                       (int)sizeof landing + OH_RELOCATE_JUMP_BYTES * (INSTRUCTION_BYTES + 1),
                   "the moved code has room at its worst");
    struct oh_instruction first;
    struct move move = {.function = function, .out = out, .to = to};
    memset(out, 0, sizeof *out);
    if (!decode_at(function, 0, function->size, &first))
        return function->size == 0 ? OH_REFUSED_too_short : OH_REFUSED_unknown_code;
    if (first.is_landing)
        out->jump_at = sizeof landing;
    move.read = out->jump_at;
    move.covered_end = out->jump_at + OH_RELOCATE_JUMP_BYTES;
    emit(&move, landing, sizeof landing);
    enum oh_refusal refusal = move_instructions(&move);
    return refusal == OH_REFUSED_none ? look_for_branches(&move) : refusal;
}

enum oh_refusal oh_relocate_jump(uint64_t at, uint64_t target, uint8_t jump[OH_RELOCATE_JUMP_BYTES])
{
    int32_t distance;
    if (!displacement(at + OH_RELOCATE_JUMP_BYTES, target, &distance))
        return OH_REFUSED_out_of_reach;
    jump[0] = JUMP_LONG;
    memcpy(jump + 1, &distance, sizeof distance);
    return OH_REFUSED_none;
}
