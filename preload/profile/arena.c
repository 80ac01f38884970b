// SPDX-License-Identifier: Apache-2.0
//
// See arena.h. Memory is mapped in chunks; a request that is larger than a chunk gets one of its
// own. The chunk's header stands at its start, so that nothing else has to be remembered.

#include "profile/arena.h"

#include <errno.h>
#include <string.h>

#include <sys/mman.h>

#include "base/sys.h"

struct oh_arena_chunk {
    struct oh_arena_chunk *older;
    size_t mapped_bytes;
};

enum {
    OH_ARENA_PAGE_BYTES = 4096,
    OH_ARENA_CHUNK_BYTES = 1 << 20,
    OH_ARENA_LARGE_CHUNK_BYTES = 32 << 20,
};

int oh_arena_init(struct oh_arena *arena, size_t max_bytes)
{
    *arena = (struct oh_arena){.max_bytes = max_bytes, .chunk_bytes = OH_ARENA_CHUNK_BYTES};
    return 0;
}

int oh_arena_init_large(struct oh_arena *arena, size_t max_bytes)
{
    *arena = (struct oh_arena){.max_bytes = max_bytes, .chunk_bytes = OH_ARENA_LARGE_CHUNK_BYTES};
    return 0;
}

static uint8_t *align_up(uint8_t *address, size_t align)
{
    size_t past = (uintptr_t)address & (align - 1);
    return past == 0 ? address : address + (align - past);
}

// A block of the current chunk, or NULL when it does not fit there.
static uint8_t *take(struct oh_arena *arena, size_t size, size_t align)
{
    if (arena->next == NULL)
        return NULL;
    uint8_t *block = align_up(arena->next, align);
    if (block > arena->end || size > (size_t)(arena->end - block))
        return NULL;
    arena->next = block + size;
    return block;
}

// Maps a chunk of this many bytes, or of what the bound leaves when that is at least `least`.
static struct oh_arena_chunk *map_chunk(struct oh_arena *arena, size_t bytes, size_t least)
{
    size_t left = (arena->max_bytes - arena->mapped_bytes) & ~(size_t)(OH_ARENA_PAGE_BYTES - 1);
    size_t length = bytes < left ? bytes : left;
    if (length < least)
        return NULL;
    long mapped =
        oh_sys_mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (oh_sys_failed(mapped))
        return NULL;
    if (arena->chunk_bytes == OH_ARENA_LARGE_CHUNK_BYTES)
        (void)oh_sys_madvise((void *)(uintptr_t)mapped, length, MADV_HUGEPAGE); // A kernel may not.
    struct oh_arena_chunk *chunk = (struct oh_arena_chunk *)(uintptr_t)mapped;
    chunk->older = arena->chunks;
    chunk->mapped_bytes = length;
    arena->chunks = chunk;
    arena->mapped_bytes += length;
    return chunk;
}

void *oh_arena_alloc(struct oh_arena *arena, size_t size, size_t align)
{
    if (align == 0 || (align & (align - 1)) != 0 || align > OH_ARENA_PAGE_BYTES)
        return NULL;
    size_t at_least = size == 0 ? 1 : size;
    uint8_t *block = take(arena, at_least, align);
    size_t overhead = sizeof(struct oh_arena_chunk) + align + OH_ARENA_PAGE_BYTES;
    if (block != NULL || at_least > SIZE_MAX - overhead)
        return block;
    size_t need = (at_least + overhead) & ~(size_t)(OH_ARENA_PAGE_BYTES - 1);
    if (need > arena->chunk_bytes) { // The current chunk stays current.
        struct oh_arena_chunk *own = map_chunk(arena, need, need);
        return own == NULL ? NULL : align_up((uint8_t *)(own + 1), align);
    }
    struct oh_arena_chunk *chunk = map_chunk(arena, arena->chunk_bytes, need);
    if (chunk == NULL)
        return NULL;
    arena->next = (uint8_t *)(chunk + 1);
    arena->end = (uint8_t *)chunk + chunk->mapped_bytes;
    return take(arena, at_least, align);
}

void *oh_arena_array(struct oh_arena *arena, size_t count, size_t size, size_t align)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return oh_arena_alloc(arena, bytes, align);
}

int oh_arena_grow(struct oh_arena *arena, void **entries, uint32_t count, uint32_t *room,
                  size_t bytes, uint32_t first)
{
    if (count < *room)
        return 0;
    uint32_t larger = *room == 0 ? first : *room * 2;
    void *moved = oh_arena_array(arena, larger, bytes, _Alignof(uint64_t));
    if (moved == NULL)
        return -ENOMEM;
    if (count != 0)
        memcpy(moved, *entries, count * bytes);
    *entries = moved;
    *room = larger;
    return 0;
}

void oh_arena_fini(struct oh_arena *arena)
{
    struct oh_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct oh_arena_chunk *older = chunk->older;
        (void)oh_sys_munmap(chunk, chunk->mapped_bytes);
        chunk = older;
    }
    *arena = (struct oh_arena){0};
}
