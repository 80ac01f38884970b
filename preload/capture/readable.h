// SPDX-License-Identifier: Apache-2.0
//
// Reading words of the host's memory that may not be mapped. The unwinder follows pointers that
// a smashed frame can have made up; no read of it may fault.
//
// Three kinds of memory, three ways to know what is readable:
// - the stack that the kernel gave the first thread, or that the C library or the host gave a
//   thread. Its top is a fixed point that cannot go away under the thread: the name of the program
//   at the end of the kernel's, the thread's control block on any other. Nobody takes away what
//   lies between the stack pointer and that point. A stack pointer is known to be on this stack
//   when every page from it to the fixed point was readable once: the guard page of a stack, and
//   the gap below the kernel's, keep all others apart. (Memory directly below a stack without a
//   guard page counts as part of it.) From then on a walk makes no system call there, whatever its
//   depth; the range ends at the fixed point, whatever lies behind it.
// - any other stack: coroutines, makecontext, sigaltstack. It may be unmapped, and mapped with
//   another size, between two captures; nothing is remembered. Each walk begins with the page of
//   the stack pointer and tests every further one.
// - memory that the Go runtime never unmaps (goroutine stacks, g structures): one table of page
//   numbers for the process.
// A page is tested by one system call that reads it for us (a signal mask operation with an
// operation code that does not exist: EFAULT when the page cannot be read, EINVAL otherwise).
//
// Any thread, signal handlers included; no locks, no errno. The table of pages is shared:
//   states       a slot holds 0 or one page number that was readable when it was written
//   writers      any thread, one relaxed store; readers any thread, one relaxed load
//   publication  none needed: the word is the whole message
//   progress     one probe; a collision replaces the older page
//   dead writer  leaves the old or the new page number, both true

#ifndef OH_CAPTURE_READABLE_H
#define OH_CAPTURE_READABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "capture/registers_x86_64.h"

// A walk's range of readable stack: whole pages, at least one after oh_readable_begin, the first of
// them the stack pointer's. It may grow up to limit, which is end on the thread's own stack.
struct oh_readable {
    uint64_t begin;
    uint64_t end;
    uint64_t limit;
};

// Begins a walk of the calling thread's stack at stack pointer sp, which must be readable
// (the thread runs on it), and returns the walk's range, which is the calling thread's only one.
struct oh_readable *oh_readable_begin(uint64_t sp);

// The calling thread's range; only during a walk that oh_readable_begin began.
struct oh_readable *oh_readable_self(void);

// Grows the range upwards, the way a walk goes, until it contains address, which lies above it.
// False when that is not the thread's stack, or not readable.
bool oh_readable_grow(struct oh_readable *stack, uint64_t address);

// The part of oh_readable_word that is not inline.
bool oh_readable_far_word(struct oh_readable *stack, uint64_t address, uint64_t *value);

// Reads the 8-byte word at address, which need not be aligned. False, and *value untouched, when
// it cannot be read. Cheap on the thread's stack, a system call elsewhere.
static inline bool oh_readable_word(struct oh_readable *stack, uint64_t address, uint64_t *value)
{
    if (oh_unlikely(address - stack->begin > stack->end - stack->begin - sizeof(uint64_t)))
        return oh_readable_far_word(stack, address, value);
    *value = oh_word_at(address);
    return true;
}

// The same for an aligned word of the Go runtime's memory: goroutine stacks and g structures.
bool oh_readable_go_word(uint64_t address, uint64_t *value);

// Whether the calling thread runs on its own stack, and that is known from `inner` to `outer`.
bool oh_readable_is_own(uint64_t inner, uint64_t outer);

// Whether [address, address + size) can be read now. Tests every page, remembers nothing.
bool oh_readable_range(uint64_t address, uint64_t size);

#endif
