// SPDX-License-Identifier: Apache-2.0
#include "hooks/nesting.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"
#include "capture/unwind_c.h"
#include "recording/real.h"

enum { ALIGN = 64, SMALL_BYTES = 16, LARGE_BYTES = 100000 };

// The functions behind those that were replaced in oh_real.
static struct oh_real inner;

// The inner hooks of this thread pass whatever they are asked.
static uint64_t suspend(void)
{
    uint64_t left = oh_thread_self.countdown;
    oh_thread_self.countdown = UINT64_MAX;
    return left;
}

static void resume(uint64_t left)
{
    oh_thread_self.countdown = left;
}

static void *outer_calloc(size_t count, size_t size)
{
    uint64_t left = suspend();
    void *block = inner.calloc(count, size);
    resume(left);
    return block;
}

static void *outer_realloc(void *block, size_t size)
{
    uint64_t left = suspend();
    void *moved = inner.realloc(block, size);
    resume(left);
    return moved;
}

static int outer_posix_memalign(void **out, size_t align, size_t size)
{
    uint64_t left = suspend();
    int result = inner.posix_memalign(out, align, size);
    resume(left);
    return result;
}

static void *outer_aligned_alloc(size_t align, size_t size)
{
    uint64_t left = suspend();
    void *block = inner.aligned_alloc(align, size);
    resume(left);
    return block;
}

static void *outer_memalign(size_t align, size_t size)
{
    uint64_t left = suspend();
    void *block = inner.memalign(align, size);
    resume(left);
    return block;
}

static void *outer_valloc(size_t size)
{
    uint64_t left = suspend();
    void *block = inner.valloc(size);
    resume(left);
    return block;
}

static void *outer_pvalloc(size_t size)
{
    uint64_t left = suspend();
    void *block = inner.pvalloc(size);
    resume(left);
    return block;
}

// Whether a hook was entered since the last time this was asked.
static bool was_entered(void)
{
    bool entered = oh_thread_self.nested != 0;
    oh_thread_self.nested = 0;
    return entered;
}

static bool calloc_nests(void)
{
    void *block = inner.calloc(1, SMALL_BYTES);
    bool nests = was_entered();
    inner.free(block);
    return nests;
}

static bool realloc_nests(void)
{
    void *block = inner.malloc(SMALL_BYTES);
    (void)was_entered();
    void *moved = inner.realloc(block, LARGE_BYTES);
    bool nests = was_entered();
    inner.free(moved != NULL ? moved : block);
    return nests;
}

static bool posix_memalign_nests(void)
{
    void *block = NULL;
    int failed = inner.posix_memalign(&block, ALIGN, SMALL_BYTES);
    bool nests = was_entered();
    if (!failed)
        inner.free(block);
    return nests;
}

static bool aligned_nests(void *(*function)(size_t, size_t))
{
    void *block = function(ALIGN, ALIGN);
    bool nests = was_entered();
    inner.free(block);
    return nests;
}

static bool paged_nests(void *(*function)(size_t))
{
    void *block = function(SMALL_BYTES);
    bool nests = was_entered();
    inner.free(block);
    return nests;
}

// What tells the module apart that the code at an address lies in, NULL when that cannot be told.
// dladdr looks through all symbols of a module, which for libc's takes longer than everything else
// here: only where the other way does not answer.
static const void *module_of(uintptr_t code)
{
    struct oh_c_module module;
    Dl_info info;
    if (oh_unwind_c_find_module(code, &module) == 0)
        return (const void *)(uintptr_t)module.eh_frame_hdr;
    return dladdr((const void *)code, &info) != 0 ? info.dli_fbase : NULL;
}

void oh_nesting_settle(void)
{
    inner = oh_real;
    // A block may only be given back to the allocator that made it: tried are the functions that
    // come from the same module as malloc and free. libc's own do not nest; libc is where the loader
    // finds _exit, since a function's address that is taken here may be that of a stub in the program.
    const void *home = module_of((uintptr_t)inner.malloc);
    if (home == NULL || home != module_of((uintptr_t)inner.free) ||
        home == module_of((uintptr_t)inner._exit))
        return;
    (void)was_entered();
    if (module_of((uintptr_t)inner.calloc) == home && calloc_nests())
        oh_real.calloc = outer_calloc;
    if (module_of((uintptr_t)inner.realloc) == home && realloc_nests())
        oh_real.realloc = outer_realloc;
    if (module_of((uintptr_t)inner.posix_memalign) == home && posix_memalign_nests())
        oh_real.posix_memalign = outer_posix_memalign;
    if (module_of((uintptr_t)inner.aligned_alloc) == home && aligned_nests(inner.aligned_alloc))
        oh_real.aligned_alloc = outer_aligned_alloc;
    if (module_of((uintptr_t)inner.memalign) == home && aligned_nests(inner.memalign))
        oh_real.memalign = outer_memalign;
    if (module_of((uintptr_t)inner.valloc) == home && paged_nests(inner.valloc))
        oh_real.valloc = outer_valloc;
    if (module_of((uintptr_t)inner.pvalloc) == home && paged_nests(inner.pvalloc))
        oh_real.pvalloc = outer_pvalloc;
}
