// SPDX-License-Identifier: Apache-2.0
//
// The raw system call instruction of x86-64. The only file that knows its registers; another
// processor gets a file of its own. errno is never touched: the result is the value, or a
// negative error number (-4095 to -1), as the kernel returns it.

#ifndef OH_BASE_SYSCALL_X86_64_H
#define OH_BASE_SYSCALL_X86_64_H

static inline long oh_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
