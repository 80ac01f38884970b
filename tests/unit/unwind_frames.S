// SPDX-License-Identifier: Apache-2.0
//
// Functions that a compiler does not make: test_unwind.c calls them, and they call back.

        .text

        // void oh_test_without_cfi(void (*callback)(void)): no call frame information at all.
        .globl  oh_test_without_cfi
        .type   oh_test_without_cfi, @function
oh_test_without_cfi:
        subq    $24, %rsp
        call    *%rdi
        addq    $24, %rsp
        ret
        .size   oh_test_without_cfi, . - oh_test_without_cfi

        // void oh_test_smashed(void (*callback)(void), unsigned long frame): says that its frame is
        // found by rbp, and has another value there.
        .globl  oh_test_smashed
        .type   oh_test_smashed, @function
oh_test_smashed:
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        pushq   %rbx
        subq    $8, %rsp
        movq    %rbp, %rbx
        movq    %rsi, %rbp
        call    *%rdi
        movq    %rbx, %rbp
        movq    -8(%rbp), %rbx
        leave
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   oh_test_smashed, . - oh_test_smashed

        // void oh_test_by_expression(void (*callback)(void)): its frame is found by an expression,
        // as in functions that align their stack: the address is the word below rbp's.
        .globl  oh_test_by_expression
        .type   oh_test_by_expression, @function
oh_test_by_expression:
        .cfi_startproc
        leaq    8(%rsp), %r10
        .cfi_def_cfa r10, 0
        andq    $-64, %rsp
        pushq   -8(%r10)
        pushq   %rbp
        movq    %rsp, %rbp
        .cfi_escape 0x10, 0x06, 0x02, 0x76, 0x00        // rbp is at rbp + 0.
        pushq   %r10
        .cfi_escape 0x0f, 0x03, 0x76, 0x78, 0x06        // The CFA is the word at rbp - 8.
        subq    $40, %rsp
        call    *%rdi
        movq    -8(%rbp), %r10
        .cfi_def_cfa r10, 0
        leave
        leaq    -8(%r10), %rsp
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   oh_test_by_expression, . - oh_test_by_expression

        .section .note.GNU-stack, "", @progbits
