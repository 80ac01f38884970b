// SPDX-License-Identifier: Apache-2.0
#include "patch/code.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"

int oh_code_write(uint64_t address, const void *expected, const void *bytes, size_t size)
{
    const void *memory = (const void *)(uintptr_t)address;
    if (memcmp(memory, expected, size) != 0)
        return -EILSEQ;
    long fd = oh_sys_open("/proc/self/mem", O_RDWR, 0);
    if (fd < 0)
        return (int)fd;
    long rc = oh_sys_pwrite((int)fd, bytes, size, (off_t)address);
    (void)oh_sys_close((int)fd);
    if (rc < 0)
        return (int)rc;
    // The compiler has seen the old bytes; the kernel has changed them behind its back.
    __asm__ volatile("" : : : "memory");
    return (size_t)rc == size && memcmp(memory, bytes, size) == 0 ? 0 : -EIO;
}
