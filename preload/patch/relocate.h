// SPDX-License-Identifier: Apache-2.0
//
// Moves the first instructions of a function to another place, so that a jump can stand where they
// stood, and the function can still be called: at the other place they are followed by a jump to
// what was left. Operands that count from the instruction pointer are adjusted, branches get their
// long form. What cannot be moved is refused, with the reason.
//
// Pure: reads the code, writes the result, calls the decoder. Any thread.
//
// The whole function is looked through for branches into the bytes that the jump will cover; a
// computed jump to there could not be seen, but compilers give those no label in a prologue; nor one
// from another function, as hand-written assembly may have it (glibc's memmove goes on inside of
// memcpy).

#ifndef OH_PATCH_RELOCATE_H
#define OH_PATCH_RELOCATE_H

#include <stddef.h>
#include <stdint.h>

enum { OH_RELOCATE_JUMP_BYTES = 5, OH_RELOCATE_CODE_BYTES = 96 };

enum oh_refusal {
#define OH_REFUSAL(id, text) OH_REFUSED_##id,
#include "patch/refusals.def"
#undef OH_REFUSAL
    OH_REFUSED_COUNT
};

// A function as it lies in memory: `code` is where its bytes can be read, `address` where it is, or
// is thought to be. From `size` to `room` bytes come those behind it, for who wants to know whether
// they are padding.
struct oh_function {
    const uint8_t *code;
    uint64_t address;
    size_t size;
    size_t room;
};

struct oh_relocated {
    uint32_t jump_at;    // Where in the function the jump is to stand: behind an endbr64.
    uint32_t code_bytes; // Of what comes next.
    uint8_t
        code[OH_RELOCATE_CODE_BYTES]; // For the address that was asked for, its own jump included.
};

// OH_REFUSED_none: *out is the moved code, made for the address `to`, which begins with an endbr64.
enum oh_refusal oh_relocate(const struct oh_function *function, uint64_t to,
                            struct oh_relocated *out);

// Writes the jump from `at` to `target`. OH_REFUSED_out_of_reach: they lie too far apart.
enum oh_refusal oh_relocate_jump(uint64_t at, uint64_t target,
                                 uint8_t jump[OH_RELOCATE_JUMP_BYTES]);

#endif
