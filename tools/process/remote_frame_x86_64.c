// SPDX-License-Identifier: Apache-2.0
//
// The signal frame of x86-64, as the kernel writes it for a handler and reads it in rt_sigreturn.

#include "process/remote_frame.h"

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    OH_RED_ZONE = 128,
    OH_XSTATE_ALIGN = 64,
    OH_XSTATE_LEGACY = 576,   // The part of before AVX, and the header.
    OH_XSTATE_SOFTWARE = 464, // Where the kernel keeps words of its own.
    OH_CPUID_XSTATE = 13,
    OH_ERESTARTSYS = 512, // The kernel's own codes, from include/linux/errno.h there.
    OH_ERESTARTNOINTR = 513,
    OH_ERESTARTNOHAND = 514,
    OH_ERESTART_BLOCK = 516,
    OH_SYSCALL_BYTES = 2,
    OH_UC_XSTATE = 1, // Flags of a context: the kernel's asm/ucontext.h.
    OH_UC_SS = 2,
    OH_UC_STRICT_SS = 4,
    OH_NO_STACK_MODE = 0x40, // Of sigaltstack: refused, so that the thread keeps its own.
};

// Tiles need room that a frame has only when the thread uses them; nothing here does.
static const uint64_t tile_features = (UINT64_C(1) << 17) | (UINT64_C(1) << 18);

struct oh_kernel_frame {
    uint64_t restorer;
    uint64_t flags;
    uint64_t link;
    uint64_t stack;
    int32_t stack_flags;
    uint32_t padding;
    uint64_t stack_bytes;
    struct sigcontext registers;
    uint64_t blocked;
    uint8_t siginfo[128];
};

_Static_assert(offsetof(struct oh_kernel_frame, registers) == 48, "the kernel's struct ucontext");
_Static_assert(sizeof(struct sigcontext) == 256, "the kernel's struct sigcontext");

struct user_regs_struct oh_remote_frame_after(const struct user_regs_struct *regs)
{
    struct user_regs_struct after = *regs;
    after.orig_rax = (unsigned long long)-1;
    if ((long long)regs->orig_rax < 0) {
        return after;
    }
    switch (-(long long)regs->rax) {
    case OH_ERESTARTSYS:
    case OH_ERESTARTNOINTR:
    case OH_ERESTARTNOHAND:
        after.rax = regs->orig_rax;
        after.rip -= OH_SYSCALL_BYTES;
        break;
    case OH_ERESTART_BLOCK: after.rax = (unsigned long long)-EINTR; break;
    default: break;
    }
    return after;
}

// Bytes of the vector state that a frame has, from the features in it.
static size_t xstate_size(const struct oh_remote_state *state)
{
    uint64_t features = 0;
    size_t size = OH_XSTATE_LEGACY;
    memcpy(&features, state->xstate + OH_XSTATE_SOFTWARE, sizeof features);
    features &= ~tile_features;
    for (unsigned i = 2; i < 63; i++) {
        unsigned bytes = 0;
        unsigned offset = 0;
        unsigned c = 0;
        unsigned d = 0;
        if ((features >> i & 1) != 0 &&
            __get_cpuid_count(OH_CPUID_XSTATE, i, &bytes, &offset, &c, &d) != 0 &&
            offset + bytes > size) {
            size = offset + bytes;
        }
    }
    return size < state->xstate_bytes ? size : state->xstate_bytes;
}

static void put_xstate(const struct oh_remote_state *state, size_t size, uint8_t *to)
{
    uint64_t features = 0;
    const uint32_t end_mark = FP_XSTATE_MAGIC2;
    struct _fpx_sw_bytes words = {.magic1 = FP_XSTATE_MAGIC1,
                                  .extended_size = (uint32_t)size + FP_XSTATE_MAGIC2_SIZE,
                                  .xstate_size = (uint32_t)size};
    memcpy(&features, state->xstate + OH_XSTATE_SOFTWARE, sizeof features);
    words.xstate_bv = features & ~tile_features;
    memcpy(to, state->xstate, size);
    memcpy(to + OH_XSTATE_SOFTWARE, &words, sizeof words);
    memcpy(to + size, &end_mark, sizeof end_mark);
}

static void put_registers(const struct user_regs_struct *regs, uint64_t xstate,
                          struct sigcontext *to)
{
    *to = (struct sigcontext){.r8 = regs->r8,
                              .r9 = regs->r9,
                              .r10 = regs->r10,
                              .r11 = regs->r11,
                              .r12 = regs->r12,
                              .r13 = regs->r13,
                              .r14 = regs->r14,
                              .r15 = regs->r15,
                              .rdi = regs->rdi,
                              .rsi = regs->rsi,
                              .rbp = regs->rbp,
                              .rbx = regs->rbx,
                              .rdx = regs->rdx,
                              .rax = regs->rax,
                              .rcx = regs->rcx,
                              .rsp = regs->rsp,
                              .rip = regs->rip,
                              .eflags = regs->eflags,
                              .cs = (uint16_t)regs->cs,
                              .__fpstate_word = xstate};
    // struct sigcontext calls the place of ss so.
    to->__pad0 = (uint16_t)regs->ss;
}

void oh_remote_frame_build(const struct oh_remote_state *state, uint64_t restorer, const char *text,
                           struct oh_remote_frame *frame)
{
    const size_t xstate_bytes = xstate_size(state);
    const struct user_regs_struct after = oh_remote_frame_after(&state->regs);
    const uint64_t top = (state->regs.rsp - OH_RED_ZONE - OH_REMOTE_TEXT_BYTES) & ~(uint64_t)15;
    const uint64_t xstate =
        (top - xstate_bytes - FP_XSTATE_MAGIC2_SIZE) & ~(uint64_t)(OH_XSTATE_ALIGN - 1);
    struct oh_kernel_frame kernel = {.restorer = restorer,
                                     .flags = OH_UC_XSTATE | OH_UC_SS | OH_UC_STRICT_SS,
                                     .stack_flags = OH_NO_STACK_MODE,
                                     .blocked = state->blocked};
    *frame = (struct oh_remote_frame){.text = top};
    // As at the entry of any function: 8 bytes off a multiple of 16.
    frame->address = ((xstate - sizeof kernel) & ~(uint64_t)15) - 8;
    frame->size = (size_t)(top + OH_REMOTE_TEXT_BYTES - frame->address);
    put_registers(&after, xstate, &kernel.registers);
    memcpy(frame->bytes, &kernel, sizeof kernel);
    put_xstate(state, xstate_bytes, frame->bytes + (xstate - frame->address));
    if (text != NULL) {
        (void)snprintf((char *)frame->bytes + (top - frame->address), OH_REMOTE_TEXT_BYTES, "%s",
                       text);
    }
}
