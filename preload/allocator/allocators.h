// SPDX-License-Identifier: Apache-2.0
//
// Allocators whose functions no symbol of ours stands before, and how they are recorded all the same:
// their functions are redirected (patch/redirect) to hooks_allocator. These are
//   - a jemalloc linked into the executable, under names with a prefix or not;
//   - an allocator that comes before us in the loader's order: preloaded before us, or exported by
//     the executable;
//   - of a library that malloc's hooks do call, or that is loaded later: what only that allocator
//     has (mallocx and its like, its operators new and delete).
// Nothing of it is exported: a program that asks whether mallocx is there gets the true answer.
//
// A function that goes on to another one that is recorded is left alone, so that nothing is counted
// twice. When one that frees cannot be redirected, none of that allocator is: its blocks would live
// for ever. What is refused is told in the recording's notes.

#ifndef OH_ALLOCATOR_ALLOCATORS_H
#define OH_ALLOCATOR_ALLOCATORS_H

#include <stdbool.h>

// Once, when the recording was made, after oh_owner_init (which learns where their code lies), before
// the program's threads run. Libraries that are loaded later are looked at by the thread that loads
// them, inside the loader and before their code runs.
// in_hook: from inside a hook of an allocation. An allocator that comes before us is then only a layer
// over us, because it is what has called the hook; that it is not asked for a block, as it is
// otherwise to find that out, keeps a thread from waiting for a lock of its own.
void oh_allocators_init(bool in_hook);

#endif
