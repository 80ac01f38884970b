// SPDX-License-Identifier: Apache-2.0
//
// Whose doing a mapping is, told by who called: Go's runtime for its own heap, an allocator that
// cuts blocks out of it, or the program. Only the last one is in profiles; the blocks of the others
// are counted by malloc, or by Go itself.
//
// Go's runtime maps through C in programs with cgo: the caller is x_cgo_mmap, and its caller is
// runtime.callCgoMmap, whose place is known from the function table, so of a stripped program too.
// In a program that Go's own linker made that C code cannot be unwound, and its caller is looked
// for. An allocator is known by a frame of the module that provides malloc, wherever in the stack:
// its background threads have such a frame, too, and after a tail call there is nothing else.
//
// Threads: oh_owner_init once, before the others; these any thread. The lists only grow: an entry
// is stored before its count (release), and read after it (acquire). Bounded, no waiting; a writer
// that dies in between leaves an entry that does not count.

#ifndef OH_TRACK_OWNER_H
#define OH_TRACK_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/registers_x86_64.h"

// After the unwinder is up. `next_malloc` is the malloc behind our hook; that of the loader's
// order, where it is not our hook, is looked up here (calls dlsym). `libc` is code of libc's, as
// dlsym has it: to take a function's address may give that of a stub in the program.
enum { OH_OWNER_LIBC = 2 };
void oh_owner_init(uint64_t next_malloc, const uint64_t libc[OH_OWNER_LIBC]);

// Code that belongs to an allocator, [begin, end): false when there are too many already.
bool oh_owner_add_allocator(uint64_t begin, uint64_t end);

// OH_KIND_GO_RUNTIME, OH_KIND_ALLOCATOR, or 0 when the return address alone does not tell.
uint8_t oh_owner_of_caller(uint64_t pc);

// The same by the whole stack: 0 means the program's own. `sp` is the stack pointer behind the
// call.
uint8_t oh_owner_of_stack(const uint64_t *pcs, uint32_t depth, uint64_t sp);

#endif
