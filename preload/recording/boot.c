// SPDX-License-Identifier: Apache-2.0
#include "recording/boot.h"

#include <errno.h>

#include "base/atomic.h"

enum { MIN_ALIGN = 16, LINE = 64 };

// Before each block stands its size, in the MIN_ALIGN bytes below it.
static _Alignas(LINE) uint8_t arena[OH_BOOT_BYTES];
static uint64_t used;
static uint64_t calls;

const void *oh_boot_start(void)
{
    return arena;
}

bool oh_boot_owns(const void *block)
{
    return (uintptr_t)block - (uintptr_t)arena < OH_BOOT_BYTES;
}

void oh_boot_count_call(void)
{
    (void)oh_add_relaxed(&calls, 1);
}

uint64_t oh_boot_calls(void)
{
    return oh_load_relaxed(&calls);
}

size_t oh_boot_size(const void *block)
{
    return *(const size_t *)((const uint8_t *)block - MIN_ALIGN);
}

void *oh_boot_alloc(size_t align, size_t size)
{
    if (align < MIN_ALIGN)
        align = MIN_ALIGN;
    if (size <= OH_BOOT_BYTES && align <= OH_BOOT_BYTES) {
        size_t bytes = (size + MIN_ALIGN + align + MIN_ALIGN - 1) & ~(size_t)(MIN_ALIGN - 1);
        // A request that is too large takes nothing, so that smaller ones go on.
        bool fits = oh_load_relaxed(&used) + bytes <= OH_BOOT_BYTES;
        uint64_t at = fits ? oh_add_relaxed(&used, bytes) : OH_BOOT_BYTES;
        if (at + bytes <= OH_BOOT_BYTES) {
            uintptr_t block = ((uintptr_t)arena + at + MIN_ALIGN + align - 1) & ~(align - 1);
            *(size_t *)(block - MIN_ALIGN) = size;
            return (void *)block;
        }
    }
    errno = ENOMEM;
    return NULL;
}
