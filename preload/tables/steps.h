// SPDX-License-Identifier: Apache-2.0
//
// The time line, in the recording: steps of the whole process (section STEPS) and what each stack
// had in use at earlier moments (its record in STACKS). What is written is worked out by
// track/timeline; the clock of both is offheap/step.h.
//
// States. A place of a ring: empty (zeros), or a step; a step is written over the one of 64 periods
// before.
// Writers. One thread at a time (track/timeline); the threads that count in a stack's record
//   write other words of it.
// Publication. A step carries a check of itself, a stack's steps carry one in step_word, which is
//   stored after them: who reads while they are written, in whatever order, finds that they do not
//   agree.
// Progress. No loop but over the eight rungs; no waiting.
// Dead writer. One step, or one stack's steps, that do not agree: readers leave the step out, and
//   know that of the stack's values some are one place further.

#ifndef OH_TABLES_STEPS_H
#define OH_TABLES_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"

// Once, after the recording was made.
void oh_steps_init(void);

// Reserves the section when it is not yet. False: there is no room for it, now or for good.
bool oh_steps_ready(void);

// Enters a step into each ring whose period has none yet; its check is worked out here.
void oh_steps_add(struct oh_format_step *step);

// What the stack has in use at this second.
void oh_steps_bring_up(struct oh_format_stack *stack, uint32_t second, uint64_t bytes);

#endif
