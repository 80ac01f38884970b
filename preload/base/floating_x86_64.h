// SPDX-License-Identifier: Apache-2.0
//
// The floating-point environment of x86-64's doubles: how they are rounded, what traps, and which
// exceptions there were. It is the host's, and a host may have made every inexact result a SIGFPE.
// So whatever of ours calculates with doubles inside a hook stands between these two. Another
// processor gets a file of its own.
//
// Any thread; a signal handler between them finds the default environment.

#ifndef OH_BASE_FLOATING_X86_64_H
#define OH_BASE_FLOATING_X86_64_H

#include <stdint.h>

// Sets the default environment (to the nearest, nothing traps) and returns the host's.
static inline uint32_t oh_floating_begin(void)
{
    const uint32_t standard = 0x1f80;
    uint32_t host;
    __asm__ volatile("stmxcsr %0\n\t"
                     "ldmxcsr %1"
                     : "=&m"(host)
                     : "m"(standard)
                     : "memory");
    return host;
}

static inline void oh_floating_end(uint32_t host)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(host) : "memory");
}

#endif
