// SPDX-License-Identifier: Apache-2.0
//
// What stack walking must know of x86-64: the registers that a called function preserves, how to
// read them, and how to read one word of memory that the compiler knows nothing about. Another
// processor gets a file of its own.

#ifndef OH_CAPTURE_REGISTERS_X86_64_H
#define OH_CAPTURE_REGISTERS_X86_64_H

#include <stdbool.h>
#include <stdint.h>

enum oh_register {
    OH_REG_BX,
    OH_REG_BP,
    OH_REG_R12,
    OH_REG_R13,
    OH_REG_R14,
    OH_REG_R15,
    OH_REG_SAVED_COUNT, // Those before are saved by functions that use them.
    OH_REG_SP = OH_REG_SAVED_COUNT,
    OH_REG_COUNT
};

struct oh_registers {
    uint64_t r[OH_REG_COUNT];
    uint64_t pc;
    bool after_call; // pc is a return address, and not that of an interrupted instruction.
};

// Where a function was called, as far as its frame tells without unwinding: the return address, and
// the stack pointer and frame pointer behind the call.
struct oh_caller {
    uint64_t pc;
    uint64_t sp;
    uint64_t bp;
};

// The registers here, in the function that this is inlined into.
static inline __attribute__((always_inline)) void oh_registers_here(struct oh_registers *regs)
{
    __asm__ volatile("movq %%rbx, 0(%1)\n\t"
                     "movq %%rbp, 8(%1)\n\t"
                     "movq %%r12, 16(%1)\n\t"
                     "movq %%r13, 24(%1)\n\t"
                     "movq %%r14, 32(%1)\n\t"
                     "movq %%r15, 40(%1)\n\t"
                     "movq %%rsp, 48(%1)\n\t"
                     "leaq 0(%%rip), %0"
                     : "=&r"(regs->pc)
                     : "r"(regs->r)
                     : "memory");
    regs->after_call = false;
}

// One word from readable memory of any kind. Sanitizers and the compiler's aliasing rules do not
// apply to the stack frames of others, so the load is the processor's.
static inline uint64_t oh_word_at(uint64_t address)
{
    uint64_t value;
    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

// The caller of the function that this is inlined into. It has a frame pointer of its own for it,
// whose record holds the caller's.
static inline __attribute__((always_inline)) void oh_caller_here(struct oh_caller *caller)
{
    caller->pc = (uint64_t)(uintptr_t)__builtin_return_address(0);
    caller->sp = (uint64_t)(uintptr_t)__builtin_dwarf_cfa();
    caller->bp = oh_word_at((uint64_t)(uintptr_t)__builtin_frame_address(0));
}

#endif
