// SPDX-License-Identifier: Apache-2.0
//
// The least that a preloaded library can do: every call of the malloc family goes on to the real
// function. What it costs over nothing at all is the floor of every tool of this kind.

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

// Serves dlsym's own calls while the real functions are looked up; never freed.
static _Alignas(16) char early[1 << 16];
static size_t early_used;
static int resolving;

static void *early_block(size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    if (rounded < size || rounded > sizeof early - early_used)
        return NULL;
    void *block = early + early_used;
    early_used += rounded;
    return block;
}

static int is_early(const void *block)
{
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

static __attribute__((noinline, cold)) void resolve(void)
{
    if (resolving || real_free != NULL)
        return;
    resolving = 1;
    real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    resolving = 0;
}

static __attribute__((constructor)) void start(void)
{
    resolve();
}

EXPORT void *malloc(size_t size)
{
    if (UNLIKELY(real_malloc == NULL)) {
        resolve();
        if (real_malloc == NULL)
            return early_block(size);
    }
    return real_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    if (UNLIKELY(real_calloc == NULL)) {
        resolve();
        if (real_calloc == NULL)
            return early_block(count * size);
    }
    return real_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    if (UNLIKELY(real_realloc == NULL))
        resolve();
    if (UNLIKELY(is_early(block))) {
        void *moved = real_malloc(size);
        size_t rest = (size_t)(early + sizeof early - (char *)block);
        if (moved != NULL)
            memcpy(moved, block, size < rest ? size : rest);
        return moved;
    }
    return real_realloc(block, size);
}

EXPORT void free(void *block)
{
    if (UNLIKELY(real_free == NULL || is_early(block)))
        return;
    real_free(block);
}
