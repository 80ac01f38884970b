// SPDX-License-Identifier: Apache-2.0
//
// As hooks_malloc.c, for functions that are reached by a redirected entry. The last argument of each
// is the function as it was. Flags, alignments and the like pass through as they came.
//
// The real call comes first and the decision after it: operator new may throw, past everything that
// would have to be done afterwards. The functions are an allocator's own and call no hook
// (allocator/foreign sees to that), so nothing is counted twice in between.

#include "allocator/hooks_allocator.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "capture/registers_x86_64.h"
#include "tables/filter.h"
#include "track/countdown.h"
#include "track/track.h"

typedef uintptr_t oh_word; // An argument that only passes through.

typedef void *alloc_1_fn(size_t size);
typedef void *alloc_2_fn(size_t size, oh_word a);
typedef void *alloc_3_fn(size_t size, oh_word a, oh_word b);
typedef void *many_fn(size_t count, size_t size);
typedef void *aligned_fn(size_t align, size_t size);
typedef int into_fn(void **out, size_t align, size_t size);
typedef void *resize_2_fn(void *block, size_t size);
typedef void *resize_3_fn(void *block, size_t size, oh_word a);
typedef void *resize_many_fn(void *block, size_t count, size_t size);
typedef size_t in_place_fn(void *block, size_t size, size_t extra, oh_word flags);
typedef void free_1_fn(void *block);
typedef void free_2_fn(void *block, oh_word a);
typedef void free_3_fn(void *block, oh_word a, oh_word b);

// After an allocation that did not pass the countdown.
static void *record(const struct oh_caller *caller, void *block, size_t size)
{
    struct oh_track_call call;
    if (block != NULL && oh_track_begin(&call, size))
        oh_track_end(&call, caller, block, size);
    return block;
}

static OH_SLOW void *alloc_1_slow(size_t size, alloc_1_fn *real)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    return record(&caller, real(size), size);
}

static void *alloc_1(size_t size, alloc_1_fn *real)
{
    if (oh_likely(oh_countdown_passes(size)))
        return real(size);
    return alloc_1_slow(size, real);
}

static OH_SLOW void *alloc_2_slow(size_t size, oh_word a, alloc_2_fn *real)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    return record(&caller, real(size, a), size);
}

static void *alloc_2(size_t size, oh_word a, alloc_2_fn *real)
{
    if (oh_likely(oh_countdown_passes(size)))
        return real(size, a);
    return alloc_2_slow(size, a, real);
}

static OH_SLOW void *alloc_3_slow(size_t size, oh_word a, oh_word b, alloc_3_fn *real)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    return record(&caller, real(size, a, b), size);
}

static void *alloc_3(size_t size, oh_word a, oh_word b, alloc_3_fn *real)
{
    if (oh_likely(oh_countdown_passes(size)))
        return real(size, a, b);
    return alloc_3_slow(size, a, b, real);
}

static OH_SLOW void *many_slow(size_t count, size_t size, many_fn *real)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return real(count, size);
    return record(&caller, real(count, size), bytes);
}

static void *many(size_t count, size_t size, many_fn *real)
{
    size_t bytes;
    if (oh_likely(!__builtin_mul_overflow(count, size, &bytes) && oh_countdown_passes(bytes)))
        return real(count, size);
    return many_slow(count, size, real);
}

static OH_SLOW void *aligned_slow(size_t align, size_t size, aligned_fn *real)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    return record(&caller, real(align, size), size);
}

static void *aligned(size_t align, size_t size, aligned_fn *real)
{
    if (oh_likely(oh_countdown_passes(size)))
        return real(align, size);
    return aligned_slow(align, size, real);
}

static OH_SLOW int into_slow(void **out, size_t align, size_t size, into_fn *real)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    int result = real(out, align, size);
    if (result == 0)
        (void)record(&caller, *out, size);
    return result;
}

static int into(void **out, size_t align, size_t size, into_fn *real)
{
    if (oh_likely(oh_countdown_passes(size)))
        return real(out, align, size);
    return into_slow(out, align, size, real);
}

// Around a call that resizes `block`: it is out of the table before the call, and in again when the
// call has failed. A realloc to nothing that returns NULL has failed if it sets errno; otherwise it
// has freed the block. errno is left as the call leaves it.
struct resizing {
    const void *block;
    struct oh_track_block taken;
    int saved;
    bool passed;
};

static void begin_resize(struct resizing *resizing, const void *block, size_t size)
{
    resizing->block = block;
    resizing->passed = oh_countdown_passes(size);
    oh_track_take(block, &resizing->taken);
    resizing->saved = errno;
    errno = 0;
}

static void *end_resize(const struct resizing *resizing, const struct oh_caller *caller,
                        void *moved, size_t size)
{
    bool freed = size == 0 && errno == 0;
    if (errno == 0)
        errno = resizing->saved;
    if (moved == NULL && !freed)
        oh_track_restore(resizing->block, &resizing->taken);
    return resizing->passed ? moved : record(caller, moved, size);
}

static OH_SLOW void *resize_2_slow(void *block, size_t size, resize_2_fn *real)
{
    struct oh_caller caller;
    struct resizing resizing;
    oh_caller_here(&caller);
    begin_resize(&resizing, block, size);
    return end_resize(&resizing, &caller, real(block, size), size);
}

static void *resize_2(void *block, size_t size, resize_2_fn *real)
{
    if (oh_likely(!oh_filter_maybe(block) && oh_countdown_passes(size)))
        return real(block, size);
    return resize_2_slow(block, size, real);
}

static OH_SLOW void *resize_3_slow(void *block, size_t size, oh_word a, resize_3_fn *real)
{
    struct oh_caller caller;
    struct resizing resizing;
    oh_caller_here(&caller);
    begin_resize(&resizing, block, size);
    return end_resize(&resizing, &caller, real(block, size, a), size);
}

static void *resize_3(void *block, size_t size, oh_word a, resize_3_fn *real)
{
    if (oh_likely(!oh_filter_maybe(block) && oh_countdown_passes(size)))
        return real(block, size, a);
    return resize_3_slow(block, size, a, real);
}

static OH_SLOW void *resize_many(void *block, size_t count, size_t size, resize_many_fn *real)
{
    struct oh_caller caller;
    struct resizing resizing;
    oh_caller_here(&caller);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return real(block, count, size);
    begin_resize(&resizing, block, bytes);
    return end_resize(&resizing, &caller, real(block, count, size), bytes);
}

// xallocx never moves the block and tells the size that it has afterwards. Smaller than what was
// asked for: nothing has changed. The block is the caller's all the time, so that the entry for it
// can be replaced after the call.
static OH_SLOW size_t in_place(void *block, size_t size, size_t extra, oh_word flags,
                               in_place_fn *real)
{
    struct oh_caller caller;
    struct oh_track_block taken;
    oh_caller_here(&caller);
    size_t got = real(block, size, extra, flags);
    if (got < size)
        return got;
    size_t most = size <= SIZE_MAX - extra ? size + extra : SIZE_MAX;
    size_t now = got < most ? got : most;
    bool passed = oh_countdown_passes(now);
    if (oh_filter_maybe(block))
        oh_track_take(block, &taken);
    if (!passed)
        (void)record(&caller, block, now);
    return got;
}

static OH_SLOW void free_1_slow(void *block, free_1_fn *real)
{
    oh_track_free(block);
    real(block);
}

static void free_1(void *block, free_1_fn *real)
{
    if (oh_likely(!oh_filter_maybe(block))) {
        real(block);
        return;
    }
    free_1_slow(block, real);
}

static OH_SLOW void free_2_slow(void *block, oh_word a, free_2_fn *real)
{
    oh_track_free(block);
    real(block, a);
}

static void free_2(void *block, oh_word a, free_2_fn *real)
{
    if (oh_likely(!oh_filter_maybe(block))) {
        real(block, a);
        return;
    }
    free_2_slow(block, a, real);
}

static OH_SLOW void free_3_slow(void *block, oh_word a, oh_word b, free_3_fn *real)
{
    oh_track_free(block);
    real(block, a, b);
}

static void free_3(void *block, oh_word a, oh_word b, free_3_fn *real)
{
    if (oh_likely(!oh_filter_maybe(block))) {
        real(block, a, b);
        return;
    }
    free_3_slow(block, a, b, real);
}

enum { ARGUMENTS_MAX = 4 };

const void *oh_allocator_hook(const struct oh_allocator_facts *facts)
{
    static const void *const hooks[OH_SHAPE_COUNT][ARGUMENTS_MAX + 1] = {
        [OH_SHAPE_ALLOC] = {[1] = alloc_1, [2] = alloc_2, [3] = alloc_3},
        [OH_SHAPE_ALLOC_MANY] = {[2] = many},
        [OH_SHAPE_ALLOC_ALIGNED] = {[2] = aligned},
        [OH_SHAPE_ALLOC_INTO] = {[3] = into},
        [OH_SHAPE_RESIZE] = {[2] = resize_2, [3] = resize_3},
        [OH_SHAPE_RESIZE_MANY] = {[3] = resize_many},
        [OH_SHAPE_RESIZE_IN_PLACE] = {[4] = in_place},
        [OH_SHAPE_FREE] = {[1] = free_1, [2] = free_2, [3] = free_3},
    };
    return facts->arguments <= ARGUMENTS_MAX ? hooks[facts->shape][facts->arguments] : NULL;
}
