// SPDX-License-Identifier: Apache-2.0
//
// Functions that begin in every way that patch/relocate knows, and in those that it refuses:
// long oh_test_NAME(long), and their sizes, const unsigned long oh_test_size_NAME.

        .macro  begin name
        .balign 16
        .globl  oh_test_\name
        .type   oh_test_\name, @function
oh_test_\name:
        .endm
        .macro  end name
        .size   oh_test_\name, . - oh_test_\name
        .pushsection .rodata
        .balign 8
        .globl  oh_test_size_\name
oh_test_size_\name:
        .quad   oh_test_end_\name - oh_test_\name
        .popsection
oh_test_end_\name:
        .endm

        .text

        begin   plain
        movq    %rdi, %rax
        addq    $1, %rax
        ret
        end     plain

        begin   landing
        endbr64
        leaq    2(%rdi), %rax
        ret
        end     landing

        begin   rip_load
        movq    word(%rip), %rax
        addq    %rdi, %rax
        ret
        end     rip_load

        begin   rip_load_late           // The operand's instruction is the second.
        pushq   %rbx
        leaq    word(%rip), %rbx
        movq    (%rbx), %rax
        addq    %rdi, %rax
        popq    %rbx
        ret
        end     rip_load_late

        begin   rip_store               // An immediate stands behind the displacement.
        movl    $77, scratch(%rip)
        movslq  scratch(%rip), %rax
        addq    %rdi, %rax
        ret
        end     rip_store

        begin   rip_compare_byte
        cmpb    $40, word(%rip)
        jne     1f
        leaq    4(%rdi), %rax
        ret
1:      xorl    %eax, %eax
        ret
        end     rip_compare_byte

        begin   rip_vector              // A VEX encoding.
        vmovq   word(%rip), %xmm0
        vmovq   %xmm0, %rax
        addq    %rdi, %rax
        ret
        end     rip_vector

        begin   thread_local
        movq    %fs:0, %rax
        subq    %fs:0, %rax
        addq    %rdi, %rax
        ret
        end     thread_local

        begin   if_short
        testq   %rdi, %rdi
        je      1f
        leaq    5(%rdi), %rax
        ret
        nop
1:      movl    $500, %eax
        ret
        end     if_short

        begin   if_long
        testq   %rdi, %rdi
        {disp32} js 1f
        leaq    6(%rdi), %rax
        ret
1:      movl    $600, %eax
        ret
        end     if_long

        begin   jump_short
        jmp     1f
        nop
        nop
        nop
1:      leaq    7(%rdi), %rax
        ret
        end     jump_short

        begin   jump_long
        {disp32} jmp oh_test_plain
        end     jump_long

        begin   jump_indirect
        jmpq    *pointer(%rip)
        end     jump_indirect

        begin   no_count
        movq    %rdi, %rcx
        jrcxz   1f
        leaq    8(%rdi), %rax
        ret
1:      movl    $800, %eax
        ret
        end     no_count

        begin   count
        movl    %edi, %ecx
        loop    1f
        movl    $900, %eax
        ret
1:      leaq    9(%rdi), %rax
        ret
        end     count

        begin   tiny                    // Shorter than a jump; padding follows.
        movl    %edi, %eax
        ret
        end     tiny
        .balign 16

        begin   recursive               // Its call of itself is a call like any other.
        pushq   %rdi
        testq   %rdi, %rdi
        jle     1f
        decq    %rdi
        call    oh_test_recursive
        popq    %rdi
        addq    %rdi, %rax
        ret
1:      popq    %rax
        xorl    %eax, %eax
        ret
        end     recursive

        begin   long_prologue
        pushq   %r15
        pushq   %r14
        pushq   %r13
        movq    %rdi, %r13
        leaq    10(%r13), %rax
        popq    %r13
        popq    %r14
        popq    %r15
        ret
        end     long_prologue

        // What is refused.

        begin   call_first
        call    oh_test_plain
        addq    $10, %rax
        ret
        end     call_first

        begin   branch_to_second
        pushq   %rbx
1:      movq    %rdi, %rax
        decq    %rdi
        jns     1b
        popq    %rbx
        ret
        end     branch_to_second

        begin   branch_to_first
        decq    %rdi
        jns     oh_test_branch_to_first
        movq    %rdi, %rax
        ret
        end     branch_to_first

        begin   branch_from_afar
1:      incq    %rdi
        cmpq    $1000, %rdi
        movq    %rdi, %rax
        .skip   400, 0x90
        {disp32} jl 1b
        ret
        end     branch_from_afar

        begin   branch_inside
        testl   %edi, %edi
        je      1f
1:      movq    %rdi, %rax
        ret
        end     branch_inside

        begin   crowded                 // The next function begins at once.
        ret
        end     crowded
        movl    $1, %eax
        ret

        begin   breakpoint
        int3
        movq    %rdi, %rax
        ret
        end     breakpoint

        begin   invalid
        .byte   0x06, 0x06, 0x06, 0x06, 0x06, 0x06
        end     invalid

        begin   jump_of_16_bits
        .byte   0x66, 0xe9, 0x00, 0x00, 0x00, 0x00
        ret
        end     jump_of_16_bits

        begin   rip_of_32_bits
        movq    word(%eip), %rax
        ret
        end     rip_of_32_bits

        begin   transaction
        xbegin  1f
1:      movq    %rdi, %rax
        ret
        end     transaction

        .data
        .balign 8
word:   .quad   40
scratch:
        .quad   0
pointer:
        .quad   oh_test_plain

        .section .note.GNU-stack, "", @progbits
