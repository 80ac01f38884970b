// SPDX-License-Identifier: Apache-2.0
//
// What glibc and the recorder map for themselves.

#include "memory/own_maps.h"

#include <stdbool.h>
#include <string.h>

#include "offheap/format.h"
#include "process/pages.h"

// An arena's heap begins at a multiple of this; larger ones, of huge pages, are multiples of it.
static const uint64_t heap_align = UINT64_C(64) << 20;
static const uint64_t heap_max_bytes = UINT64_C(1) << 32;

// The head of an arena's heap (heap_info).
struct oh_glibc_heap {
    uint64_t arena; // Its arena, inside the first heap of it.
    uint64_t previous;
    uint64_t bytes;
    uint64_t writable_bytes; // The rest of the heap is mapped without access.
};

enum {
    OH_GLIBC_FLAGS = 7, // Of a chunk's size; a map of its own has this one alone:
    OH_GLIBC_OWN_MAP = 2,
    OH_GLIBC_THREAD_ALIGN = 64,
    OH_GLIBC_THREAD_WORDS = 320, // Of struct pthread: more than any version has.
    OH_GLIBC_SELF_WORD = 2,      // The second pointer of a thread to itself; the first is word 0.
    OH_PAGE_WORDS = OH_PAGE_BYTES / 8,
};

static bool is_page(uint64_t value)
{
    return value % OH_PAGE_BYTES == 0;
}

static bool is_heap(const struct oh_glibc_heap *heap, uint64_t address)
{
    const uint64_t arena_offset = heap->arena - address;
    const bool is_first = arena_offset >= sizeof *heap && arena_offset <= 128;
    const bool is_later = heap->previous != 0 && heap->previous % heap_align == 0 &&
                          heap->arena % heap_align <= 128 && heap->arena > heap_align;
    return (is_first || is_later) && is_page(heap->bytes) && is_page(heap->writable_bytes) &&
           heap->bytes > 0 && heap->bytes <= heap->writable_bytes &&
           heap->writable_bytes <= heap_max_bytes;
}

int oh_glibc_find_arenas(struct oh_pages *pages, uint64_t start, uint64_t end,
                         struct oh_claims *claims)
{
    int result = 0;
    uint64_t address = (start + heap_align - 1) / heap_align * heap_align;
    while (result == 0 && address < end) {
        struct oh_glibc_heap heap;
        uint64_t next = address + heap_align;
        if (oh_pages_read(pages, address, &heap, sizeof heap) && is_heap(&heap, address)) {
            const uint64_t heap_end = address + heap.writable_bytes;
            result = oh_claims_add(claims, address, heap_end < end ? heap_end : end, OH_PART_HEAP);
            next = heap_end > next ? (heap_end + heap_align - 1) / heap_align * heap_align : next;
        }
        address = next;
    }
    return result;
}

// The bytes of the chunk at the page when it is one of a map of its own, else 0.
static uint64_t own_map_bytes(struct oh_pages *pages, uint64_t page, uint64_t end)
{
    uint64_t head[2]; // What a mapped chunk keeps: bytes before it (of an aligned block), its size.
    if (!oh_pages_read(pages, page, head, sizeof head)) {
        return 0;
    }
    const uint64_t bytes = head[1] & ~(uint64_t)OH_GLIBC_FLAGS;
    const bool is_own = (head[1] & OH_GLIBC_FLAGS) == OH_GLIBC_OWN_MAP && head[0] == 0 &&
                        is_page(bytes) && bytes > 0 && bytes <= end - page;
    return is_own ? bytes : 0;
}

// The bytes of the map of the library that begins at the page, else 0.
static uint64_t recorder_bytes(struct oh_pages *pages, uint64_t page, uint64_t end)
{
    uint64_t head[2];
    if (!oh_pages_read(pages, page, head, sizeof head)) {
        return 0;
    }
    const bool is_own = memcmp(head, OH_FORMAT_MAGIC, sizeof head[0]) == 0 && is_page(head[1]) &&
                        head[1] > 0 && head[1] <= end - page;
    return is_own ? head[1] : 0;
}

typedef uint64_t oh_own_size_fn(struct oh_pages *pages, uint64_t page, uint64_t end);

// Every resident page where something of that sort begins.
static int find_heads(struct oh_pages *pages, uint64_t start, uint64_t end, oh_own_size_fn *size,
                      enum oh_memory_part part, struct oh_claims *claims)
{
    int result = 0;
    uint64_t page = oh_pages_next_resident(pages, start, end);
    while (result == 0 && page < end) {
        const uint64_t bytes = size(pages, page, end);
        if (bytes > 0) {
            result = oh_claims_add(claims, page, page + bytes, part);
        }
        const uint64_t next = page + (bytes > 0 ? bytes : OH_PAGE_BYTES);
        page = oh_pages_next_resident(pages, next, end);
    }
    return result;
}

int oh_glibc_find_blocks(struct oh_pages *pages, uint64_t start, uint64_t end,
                         struct oh_claims *claims)
{
    return find_heads(pages, start, end, own_map_bytes, OH_PART_HEAP, claims);
}

int oh_own_find_recorder(struct oh_pages *pages, uint64_t start, uint64_t end,
                         struct oh_claims *claims)
{
    return find_heads(pages, start, end, recorder_bytes, OH_PART_RECORDER, claims);
}

// A thread that pthread_create made knows its stack: a start, a size that goes past the thread's own
// description, and a guard inside. 0 words when there is none: the main thread.
static bool find_stack(const uint64_t *words, size_t count, uint64_t thread, uint64_t *start,
                       uint64_t *end)
{
    for (size_t i = OH_GLIBC_SELF_WORD + 1; i + 2 < count; i++) {
        const uint64_t block = words[i];
        const uint64_t size = words[i + 1];
        const uint64_t guard = words[i + 2];
        if (block != 0 && is_page(block) && is_page(size) && is_page(guard) && guard < size &&
            block < thread && size < UINT64_C(1) << 40 && thread - block < size &&
            size - (thread - block) <= UINT64_C(8) * OH_PAGE_BYTES) {
            *start = block + guard;
            *end = block + size;
            return true;
        }
    }
    return false;
}

// What stands behind the thread's address, as far as it can be read: the number of words.
static size_t read_thread(struct oh_pages *pages, uint64_t thread, uint64_t end,
                          uint64_t words[OH_GLIBC_THREAD_WORDS])
{
    size_t bytes = sizeof words[0] * OH_GLIBC_THREAD_WORDS;
    bytes = end - thread < bytes ? (size_t)(end - thread) : bytes;
    if (!oh_pages_read(pages, thread, words, bytes)) {
        const size_t in_page = OH_PAGE_BYTES - thread % OH_PAGE_BYTES;
        bytes = in_page < bytes ? in_page : bytes;
        bytes = oh_pages_read(pages, thread, words, bytes) ? bytes : 0;
    }
    return bytes / sizeof words[0];
}

// Claims the stack of the thread at this address; of the main one, whose stack the kernel names,
// what holds its thread-local storage. *claimed_to is where the search goes on.
static int claim_thread(struct oh_pages *pages, uint64_t thread, uint64_t start, uint64_t end,
                        struct oh_claims *claims, uint64_t *claimed_to)
{
    uint64_t words[OH_GLIBC_THREAD_WORDS];
    const size_t count = read_thread(pages, thread, end, words);
    const uint64_t small = (uint64_t)16 * OH_PAGE_BYTES;
    uint64_t first = thread / OH_PAGE_BYTES * OH_PAGE_BYTES;
    uint64_t last = thread + count * sizeof words[0];
    if (!find_stack(words, count, thread, &first, &last) && end - start <= small) {
        first = start;
        last = end;
    }
    first = first > start ? first : start;
    last = (last + OH_PAGE_BYTES - 1) / OH_PAGE_BYTES * OH_PAGE_BYTES;
    *claimed_to = last < end ? last : end;
    return oh_claims_add(claims, first, *claimed_to, OH_PART_STACKS);
}

// The address of a thread's description in this page: it points to itself twice.
static uint64_t find_thread(const uint64_t *words, uint64_t page)
{
    for (size_t i = 0; i + OH_GLIBC_SELF_WORD < OH_PAGE_WORDS; i += OH_GLIBC_THREAD_ALIGN / 8) {
        const uint64_t address = page + 8 * i;
        if (words[i] == address && words[i + OH_GLIBC_SELF_WORD] == address) {
            return address;
        }
    }
    return 0;
}

int oh_glibc_find_threads(struct oh_pages *pages, uint64_t start, uint64_t end, uint64_t *budget,
                          struct oh_claims *claims)
{
    int result = 0;
    uint64_t page = oh_pages_next_resident(pages, start, end) / OH_PAGE_BYTES * OH_PAGE_BYTES;
    while (result == 0 && *budget > 0 && page < end) {
        uint64_t words[OH_PAGE_WORDS];
        uint64_t next = page + OH_PAGE_BYTES;
        if (oh_pages_read(pages, page, words, sizeof words)) {
            const uint64_t thread = find_thread(words, page);
            (*budget)--;
            if (thread != 0) {
                result = claim_thread(pages, thread, start, end, claims, &next);
            }
        }
        page = oh_pages_next_resident(pages, next, end);
    }
    return result;
}
