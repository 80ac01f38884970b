// SPDX-License-Identifier: Apache-2.0
#include "patch/decode.h"

#include <Zydis/Decoder.h>
#include <string.h>

enum {
    PREFIX_OPERAND = 0x66,
    PREFIX_ADDRESS = 0x67,
    RM_RIP = 5, // With mod 0: the displacement counts from the next instruction.
    JUMP_IF_SHORT = 0x70,
    JUMP_IF_LONG = 0x80,
    CONDITIONS = 16,
    LOOPS = 0xe0,
    LOOPS_END = 0xe4,
    CALL_LONG = 0xe8,
    JUMP_LONG = 0xe9,
    JUMP_SHORT = 0xeb
};

static bool has_prefix(const ZydisDecodedInstruction *raw, uint8_t value)
{
    for (size_t i = 0; i < raw->raw.prefix_count; i++) {
        if (raw->raw.prefixes[i].value == value)
            return true;
    }
    return false;
}

static enum oh_flow flow_of_branch(const ZydisDecodedInstruction *raw)
{
    unsigned opcode = raw->opcode;
    if (has_prefix(raw, PREFIX_OPERAND))
        return OH_FLOW_ODD; // Processors differ in what that means.
    if (raw->opcode_map == ZYDIS_OPCODE_MAP_0F)
        return opcode - JUMP_IF_LONG < CONDITIONS ? OH_FLOW_JUMP_IF : OH_FLOW_ODD;
    if (raw->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
        return OH_FLOW_ODD;
    if (opcode - JUMP_IF_SHORT < CONDITIONS)
        return OH_FLOW_JUMP_IF;
    if (opcode >= LOOPS && opcode < LOOPS_END)
        return has_prefix(raw, PREFIX_ADDRESS) ? OH_FLOW_ODD : OH_FLOW_LOOP;
    switch (opcode) {
    case CALL_LONG: return OH_FLOW_CALL;
    case JUMP_LONG:
    case JUMP_SHORT: return OH_FLOW_JUMP;
    default: return OH_FLOW_ODD;
    }
}

static enum oh_flow flow_of_other(const ZydisDecodedInstruction *raw)
{
    switch (raw->mnemonic) {
    case ZYDIS_MNEMONIC_CALL: return OH_FLOW_CALL;
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_INT3: return OH_FLOW_END;
    default: return OH_FLOW_NEXT;
    }
}

static void find_displacement(const ZydisDecodedInstruction *raw, struct oh_instruction *out)
{
    if ((raw->attributes & ZYDIS_ATTRIB_HAS_MODRM) == 0 || raw->raw.modrm.mod != 0 ||
        raw->raw.modrm.rm != RM_RIP)
        return;
    if (has_prefix(raw, PREFIX_ADDRESS))
        out->flow = OH_FLOW_ODD; // Counts in 32 bits.
    out->rip_offset = raw->raw.disp.offset;
    out->rip_displacement = (int32_t)raw->raw.disp.value;
}

bool oh_decode(const uint8_t *code, size_t size, uint64_t address, struct oh_instruction *out)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction raw;
    memset(out, 0, sizeof *out);
    if (ZYAN_FAILED(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
        ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, &raw)))
        return false;
    out->length = raw.length;
    out->opcode = raw.opcode;
    out->direct = raw.raw.imm[0].size != 0 && raw.raw.imm[0].is_relative;
    out->flow = (uint8_t)(out->direct ? flow_of_branch(&raw) : flow_of_other(&raw));
    if (out->direct)
        out->target = address + raw.length + (uint64_t)raw.raw.imm[0].value.s;
    out->is_padding = raw.mnemonic == ZYDIS_MNEMONIC_NOP || raw.mnemonic == ZYDIS_MNEMONIC_INT3;
    out->is_landing = raw.mnemonic == ZYDIS_MNEMONIC_ENDBR64;
    find_displacement(&raw, out);
    return true;
}
