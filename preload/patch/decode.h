// SPDX-License-Identifier: Apache-2.0
//
// One machine instruction, as far as who moves it must know it. The only file that knows the
// disassembler (Zydis, linked statically; it neither allocates nor calls anything). No state; any
// thread.

#ifndef OH_PATCH_DECODE_H
#define OH_PATCH_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum oh_flow {
    OH_FLOW_NEXT, // Goes on behind itself, and only there.
    OH_FLOW_JUMP, // Goes to its target.
    OH_FLOW_JUMP_IF,
    OH_FLOW_LOOP, // jrcxz, loop and their like, which have no long form.
    OH_FLOW_CALL, // The target is known when `direct`.
    OH_FLOW_END,  // Returns, jumps to where no byte of it tells, or traps.
    OH_FLOW_ODD   // Depends on its address in a way that nobody here can mend.
};

struct oh_instruction {
    uint8_t length;
    uint8_t flow;   // enum oh_flow.
    uint8_t opcode; // Its last byte.
    bool direct;    // A branch or a call whose target its bytes tell.
    bool is_padding;
    bool is_landing;    // endbr64.
    uint8_t rip_offset; // Where its 32-bit displacement from the next instruction stands; 0: none.
    int32_t rip_displacement;
    uint64_t target; // When direct.
};

// The instruction that begins at `code`, of which `size` bytes can be read, and which lies, or is
// thought to lie, at `address`. False: there is none.
bool oh_decode(const uint8_t *code, size_t size, uint64_t address, struct oh_instruction *out);

#endif
