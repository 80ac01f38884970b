// SPDX-License-Identifier: Apache-2.0
//
// Code that Go jumps to instead of its own. See go_stubs.h. It runs on a goroutine's stack, which
// has no room to spare: nothing here pushes or calls before the stack is ours.

#include <sys/syscall.h>

        .text

        // main.main's arguments and context register pass through untouched.
        .globl  oh_go_entry_stub
        .hidden oh_go_entry_stub
        .type   oh_go_entry_stub, @function
oh_go_entry_stub:
        endbr64
        movq    $1, oh_go_entry_flag(%rip)
        jmpq    *oh_go_entry_target(%rip)
        .size   oh_go_entry_stub, . - oh_go_entry_stub

        // runtime.exit(code int32): Go's old convention, the argument above the return address.
        .globl  oh_go_exit_stub
        .hidden oh_go_exit_stub
        .type   oh_go_exit_stub, @function
oh_go_exit_stub:
        .cfi_startproc
        .cfi_undefined rip      // The outermost function: nothing comes back here.
        endbr64
        movl    8(%rsp), %ebx
        jmp     last
        .cfi_endproc
        .size   oh_go_exit_stub, . - oh_go_exit_stub

        // oh_leave_stub(int code): C's convention.
        .globl  oh_leave_stub
        .hidden oh_leave_stub
        .type   oh_leave_stub, @function
oh_leave_stub:
        .cfi_startproc
        .cfi_undefined rip
        movl    %edi, %ebx

last:   movl    $SYS_rt_sigprocmask, %eax
        xorl    %edi, %edi
        leaq    all_signals(%rip), %rsi
        xorl    %edx, %edx
        movl    $8, %r10d
        syscall
        movl    $1, %eax
        xchgl   %eax, claimed(%rip)
        testl   %eax, %eax
        jnz     wait
        leaq    stack_end(%rip), %rsp
        xorl    %ebp, %ebp
        movl    %ebx, %edi
        call    oh_leave_run
        ud2

wait:   movl    $500, %ebp
again:  movl    $SYS_nanosleep, %eax
        leaq    pause(%rip), %rdi
        xorl    %esi, %esi
        syscall
        subl    $1, %ebp
        jnz     again
leave:  movl    $SYS_exit_group, %eax
        movl    %ebx, %edi
        syscall
        jmp     leave
        .cfi_endproc
        .size   oh_leave_stub, . - oh_leave_stub

        .section .rodata
        .balign 8
all_signals:
        .quad   -1
pause:  .quad   0, 20000000     // 20 ms.

        .bss
        .balign 16
        .globl  oh_go_entry_target
        .hidden oh_go_entry_target
oh_go_entry_target:
        .skip   8
        .globl  oh_go_entry_flag
        .hidden oh_go_entry_flag
oh_go_entry_flag:
        .skip   8
claimed:
        .skip   16
        // Untouched, hence free, until a program ends.
        .balign 4096
        .skip   262144
stack_end:

        .section .note.GNU-stack, "", @progbits
