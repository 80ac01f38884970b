// SPDX-License-Identifier: Apache-2.0
//
// The allocator's symbols. Each hook is one test and a tail call of the real function; everything
// else is in a function of its own, which takes a stack of any alignment and notes where it was
// called: the capture begins there. Semantics are the real function's, to the letter: value,
// errno, alignment, zero sizes, overflow.
//
// Code in this folder may not end the host, block, print, allocate, or change errno; the lint tests
// check its imports.

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/thread.h"
#include "hooks/init.h"
#include "recording/boot.h"
#include "recording/real.h"
#include "tables/filter.h"
#include "track/countdown.h"
#include "track/track.h"

OH_EXPORT int posix_memalign(void **out, size_t align, size_t size);
OH_EXPORT void *aligned_alloc(size_t align, size_t size);
OH_EXPORT void cfree(void *block);
OH_EXPORT void free_sized(void *block, size_t size);
OH_EXPORT void free_aligned_sized(void *block, size_t align, size_t size);

// The common half of every slow path: brings the library up if need be, then decides.
static bool begin(struct oh_track_call *call, size_t size)
{
    if (oh_unlikely(oh_track_state() == OH_TRACK_UNSET))
        oh_init_run_in_hook();
    return oh_track_begin(call, size);
}

// A malloc that does not pass the countdown.
static void *watched_malloc(const struct oh_caller *caller, size_t size)
{
    struct oh_track_call call;
    if (!begin(&call, size))
        return oh_real.malloc(size);
    void *block = oh_real.malloc(size);
    oh_track_end(&call, caller, block, size);
    return block;
}

static OH_SLOW void *malloc_slow(size_t size)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    return watched_malloc(&caller, size);
}

OH_EXPORT OH_ONE_LINE void *malloc(size_t size)
{
    if (oh_likely(oh_countdown_passes(size)))
        return oh_real.malloc(size);
    return malloc_slow(size);
}

static OH_SLOW void *calloc_slow(size_t count, size_t size)
{
    struct oh_track_call call;
    struct oh_caller caller;
    oh_caller_here(&caller);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || !begin(&call, bytes))
        return oh_real.calloc(count, size);
    void *block = oh_real.calloc(count, size);
    oh_track_end(&call, &caller, block, bytes);
    return block;
}

OH_EXPORT OH_ONE_LINE void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (oh_likely(!__builtin_mul_overflow(count, size, &bytes) && oh_countdown_passes(bytes)))
        return oh_real.calloc(count, size);
    return calloc_slow(count, size);
}

static OH_SLOW void free_slow(void *block)
{
    if (oh_boot_owns(block))
        return;
    oh_track_free(block);
    oh_real.free(block);
}

OH_EXPORT OH_ONE_LINE void free(void *block)
{
    if (oh_likely(!oh_filter_maybe(block))) {
        oh_real.free(block);
        return;
    }
    free_slow(block);
}

// A block of the boot arena moves to the real allocator when it is resized. (To nothing: as in
// realloc_watched.)
static void *realloc_boot(void *block, size_t size)
{
    if (size == 0)
        return NULL;
    void *moved = malloc(size);
    size_t old = oh_boot_size(block);
    if (moved != NULL)
        memcpy(moved, block, old < size ? old : size);
    return moved;
}

// Whether a realloc that returned NULL has freed the block: glibc does so for size 0 and leaves
// errno alone, while every failure sets it.
static void *realloc_watched(void *block, size_t size, bool *freed)
{
    int saved = errno;
    errno = 0;
    void *moved = oh_real.realloc(block, size);
    *freed = moved == NULL && size == 0 && errno == 0;
    if (errno == 0)
        errno = saved;
    return moved;
}

static OH_SLOW void *realloc_slow(void *block, size_t size)
{
    struct oh_track_call call;
    struct oh_caller caller;
    oh_caller_here(&caller);
    struct oh_track_block taken;
    bool freed;
    if (block == NULL)
        return oh_countdown_passes(size) ? oh_real.malloc(size) : watched_malloc(&caller, size);
    if (oh_boot_owns(block))
        return realloc_boot(block, size);
    bool record = !oh_countdown_passes(size) && begin(&call, size);
    oh_track_take(block, &taken);
    void *moved = realloc_watched(block, size, &freed);
    if (moved == NULL && !freed)
        oh_track_restore(block, &taken);
    if (record)
        oh_track_end(&call, &caller, moved, size);
    return moved;
}

OH_EXPORT OH_ONE_LINE void *realloc(void *block, size_t size)
{
    if (oh_likely(!oh_filter_maybe(block) && oh_countdown_passes(size)))
        return oh_real.realloc(block, size);
    return realloc_slow(block, size);
}

OH_EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

static OH_SLOW int posix_memalign_slow(void **out, size_t align, size_t size)
{
    struct oh_track_call call;
    struct oh_caller caller;
    oh_caller_here(&caller);
    if (!begin(&call, size))
        return oh_real.posix_memalign(out, align, size);
    int result = oh_real.posix_memalign(out, align, size);
    oh_track_end(&call, &caller, result == 0 ? *out : NULL, size);
    return result;
}

OH_EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    if (oh_likely(oh_countdown_passes(size)))
        return oh_real.posix_memalign(out, align, size);
    return posix_memalign_slow(out, align, size);
}

// As watched_malloc, by one of the two functions that take an alignment.
static void *watched_aligned(const struct oh_caller *caller, void *(*real)(size_t, size_t),
                             size_t align, size_t size)
{
    struct oh_track_call call;
    if (!begin(&call, size))
        return real(align, size);
    void *block = real(align, size);
    oh_track_end(&call, caller, block, size);
    return block;
}

// The pointers below are read again here: bringing the library up replaces them.
static OH_SLOW void *aligned_alloc_slow(size_t align, size_t size)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    oh_init_run_in_hook();
    return watched_aligned(&caller, oh_real.aligned_alloc, align, size);
}

OH_EXPORT void *aligned_alloc(size_t align, size_t size)
{
    if (oh_likely(oh_countdown_passes(size)))
        return oh_real.aligned_alloc(align, size);
    return aligned_alloc_slow(align, size);
}

static OH_SLOW void *memalign_slow(size_t align, size_t size)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    oh_init_run_in_hook();
    return watched_aligned(&caller, oh_real.memalign, align, size);
}

OH_EXPORT void *memalign(size_t align, size_t size)
{
    if (oh_likely(oh_countdown_passes(size)))
        return oh_real.memalign(align, size);
    return memalign_slow(align, size);
}

static OH_SLOW void *valloc_slow(size_t size)
{
    struct oh_track_call call;
    struct oh_caller caller;
    oh_caller_here(&caller);
    if (!begin(&call, size))
        return oh_real.valloc(size);
    void *block = oh_real.valloc(size);
    oh_track_end(&call, &caller, block, size);
    return block;
}

OH_EXPORT void *valloc(size_t size)
{
    if (oh_likely(oh_countdown_passes(size)))
        return oh_real.valloc(size);
    return valloc_slow(size);
}

static OH_SLOW void *pvalloc_slow(size_t size)
{
    struct oh_track_call call;
    struct oh_caller caller;
    oh_caller_here(&caller);
    if (!begin(&call, size))
        return oh_real.pvalloc(size);
    void *block = oh_real.pvalloc(size);
    oh_track_end(&call, &caller, block, size);
    return block;
}

OH_EXPORT void *pvalloc(size_t size)
{
    if (oh_likely(oh_countdown_passes(size)))
        return oh_real.pvalloc(size);
    return pvalloc_slow(size);
}

// The old manual and C23 say that these are free. Few systems have them, and to look one up that is
// not there allocates: a message, perhaps from who has called us with a lock of its own held.
OH_EXPORT void cfree(void *block)
{
    free(block);
}

OH_EXPORT void free_sized(void *block, size_t size)
{
    (void)size;
    free(block);
}

OH_EXPORT void free_aligned_sized(void *block, size_t align, size_t size)
{
    (void)align;
    (void)size;
    free(block);
}

static OH_SLOW size_t usable_size_slow(void *block)
{
    return oh_boot_owns(block) ? oh_boot_size(block) : oh_real.malloc_usable_size(block);
}

OH_EXPORT size_t malloc_usable_size(void *block)
{
    if (oh_likely(!oh_filter_maybe(block)))
        return oh_real.malloc_usable_size(block);
    return usable_size_slow(block);
}
