// SPDX-License-Identifier: Apache-2.0
#include "recording/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/thread.h"
#include "recording/boot.h"

enum { PAGE_BYTES = 4096, MALLOC_ALIGN = 16 };

enum resolve_state { RESOLVE_NOT, RESOLVE_BUSY, RESOLVE_DONE, RESOLVE_FAILED };

static uint32_t state OH_READ_MOSTLY;

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static void *boot_malloc(size_t size)
{
    return oh_boot_alloc(MALLOC_ALIGN, size);
}

static void *boot_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return oh_boot_alloc(MALLOC_ALIGN, bytes);
}

// Every block that can come here is the arena's: no other allocator has given one out. Resizing to
// nothing frees, as with glibc.
static void *boot_realloc(void *block, size_t size)
{
    if (block != NULL && size == 0)
        return NULL;
    void *moved = oh_boot_alloc(MALLOC_ALIGN, size);
    if (moved != NULL && block != NULL && oh_boot_owns(block)) {
        size_t old = oh_boot_size(block);
        memcpy(moved, block, old < size ? old : size);
    }
    return moved;
}

static void *boot_reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return boot_realloc(block, bytes);
}

static void boot_free(void *block)
{
    (void)block; // The arena is never reused.
}

static int boot_posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *block = oh_boot_alloc(align, size);
    errno = saved;
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

static void *boot_memalign(size_t align, size_t size)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return oh_boot_alloc(align, size);
}

static void *boot_valloc(size_t size)
{
    return oh_boot_alloc(PAGE_BYTES, size);
}

static void *boot_pvalloc(size_t size)
{
    if (size > SIZE_MAX - PAGE_BYTES) {
        errno = ENOMEM;
        return NULL;
    }
    return oh_boot_alloc(PAGE_BYTES, (size + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));
}

static size_t boot_usable_size(void *block)
{
    return block != NULL && oh_boot_owns(block) ? oh_boot_size(block) : 0;
}

// A call at the very moment when another thread looks the functions up.
static int boot_dlclose(void *handle)
{
    int (*real)(void *) = NULL;
    void *address = dlsym(RTLD_NEXT, "dlclose");
    memcpy(&real, &address, sizeof address);
    return real != NULL ? real(handle) : -1;
}

struct oh_real oh_real OH_READ_MOSTLY = {
    .malloc = boot_malloc,
    .calloc = boot_calloc,
    .realloc = boot_realloc,
    .reallocarray = boot_reallocarray,
    .free = boot_free,
    .posix_memalign = boot_posix_memalign,
    .aligned_alloc = boot_memalign,
    .memalign = boot_memalign,
    .valloc = boot_valloc,
    .pvalloc = boot_pvalloc,
    .malloc_usable_size = boot_usable_size,
    .dlclose = boot_dlclose,
};

// Looked up into a table of their own, so that no hook meets a half-filled one. What the system does
// not have (musl's pvalloc, say) stays with its boot function.
static bool look_up(struct oh_real *found)
{
    *found = oh_real;
    const struct {
        const char *name;
        void *slot;
    } wanted[] = {
#define OH_HOOK(name) {#name, &found->name},
#include "offheap/hooks.def"
#undef OH_HOOK
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *address = dlsym(RTLD_NEXT, wanted[i].name);
        if (address != NULL)
            memcpy(wanted[i].slot, &address, sizeof address);
    }
    return found->malloc != boot_malloc && found->calloc != boot_calloc &&
           found->realloc != boot_realloc && found->free != boot_free;
}

bool oh_real_resolve(void)
{
    uint32_t seen = oh_load32_acquire(&state);
    if (seen == RESOLVE_DONE)
        return true;
    if (seen != RESOLVE_NOT || !oh_cas32_acq_rel(&state, &seen, RESOLVE_BUSY))
        return false;
    struct oh_real found;
    oh_thread_self.busy++;
    bool complete = look_up(&found);
    oh_thread_self.busy--;
    if (complete)
        oh_real = found;
    oh_store32_release(&state, complete ? RESOLVE_DONE : RESOLVE_FAILED);
    return complete;
}
