// SPDX-License-Identifier: Apache-2.0
//
// What the hooks of the mmap family (hooks_mmap, hooks_mremap) share: addresses and lengths as
// numbers, and a system call's result as libc gives it to the caller. Any thread; nothing here but
// errno is written.

#ifndef OH_HOOKS_MAP_CALL_H
#define OH_HOOKS_MAP_CALL_H

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/sys.h"

enum { OH_MAP_PAGE_BYTES = 4096 };

static inline uint64_t oh_map_number(const void *address)
{
    return (uint64_t)(uintptr_t)address;
}

static inline uint64_t oh_map_round_up(uint64_t length, uint64_t unit)
{
    return (length + unit - 1) & ~(unit - 1);
}

// In whole pages, as the system maps it.
static inline uint64_t oh_map_pages(uint64_t length)
{
    return oh_map_round_up(length, OH_MAP_PAGE_BYTES);
}

static inline void *oh_map_pointer(long result)
{
    if (!oh_sys_failed(result))
        return (void *)result;
    errno = (int)-result;
    return MAP_FAILED;
}

static inline int oh_map_status(long result)
{
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

#endif
