// SPDX-License-Identifier: Apache-2.0
//
// A bump allocator over memory that it maps itself, with a hard bound: the only memory that the
// host-safe writer (preload/profile/) uses. Blocks are zeroed, cannot be freed one by one, and all
// go away together in oh_arena_fini(). Nothing here calls the host's allocator.
//
// An arena belongs to one thread at a time. A zeroed struct is an arena of bound 0: every request
// fails, and fini is allowed.

#ifndef OH_PROFILE_ARENA_H
#define OH_PROFILE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct oh_arena_chunk;

struct oh_arena {
    struct oh_arena_chunk *chunks; // All of them, newest first.
    uint8_t *next;                 // The free part of the current chunk.
    uint8_t *end;
    size_t mapped_bytes;
    size_t max_bytes;
    size_t chunk_bytes;
};

// Maps nothing yet. max_bytes bounds what is mapped, the arena's own headers included.
int oh_arena_init(struct oh_arena *arena, size_t max_bytes);

// The same for much memory of a process that is ours alone: chunks are large and, where the kernel has
// large pages, made of these. That saves the faults of many small ones; up to one large page more
// is resident than is used.
int oh_arena_init_large(struct oh_arena *arena, size_t max_bytes);

// Zeroed memory that lives until oh_arena_fini(), or NULL when the bound is reached or the kernel
// has no memory. align is a power of two, at most 4096. A size of 0 gives a valid unique address.
void *oh_arena_alloc(struct oh_arena *arena, size_t size, size_t align);

// The same for an array; NULL also when count * size overflows.
void *oh_arena_array(struct oh_arena *arena, size_t count, size_t size, size_t align);

// Room for one more entry in an array of the arena that has `count` of *room: it doubles, from
// `first` on. 0 or -ENOMEM.
int oh_arena_grow(struct oh_arena *arena, void **entries, uint32_t count, uint32_t *room,
                  size_t bytes, uint32_t first);

// Unmaps everything. The arena is then as a zeroed one.
void oh_arena_fini(struct oh_arena *arena);

#endif
