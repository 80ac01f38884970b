// SPDX-License-Identifier: Apache-2.0
//
// What the files of hooks_subject share: hooks_subject.c runs a case by its name, hooks_stacks.c has
// those that are about the caller's stack.

#ifndef OH_UNIT_HOOKS_SUBJECT_H
#define OH_UNIT_HOOKS_SUBJECT_H

// Returns the block. The compiler knows what malloc and free mean and would leave calls out.
void *oh_subject_keep(void *block);

void oh_subject_small_stack(void);
void oh_subject_stack_use(void);
void oh_subject_misaligned_stack(void);

#endif
