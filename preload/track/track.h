// SPDX-License-Identifier: Apache-2.0
//
// The one place that puts the parts together: decides whether an allocation is recorded, takes its
// stack, interns it, enters the block, and takes it out again. The hooks (hooks/hooks_malloc) call
// it from their slow paths; which symbol was called and what it returns is theirs.
//
// Order: a block is entered after the real allocation and before the host sees its address, and
// taken out before the real free. A block is counted as allocated just before it is live. So a
// killed process is short by at most the call that each thread was in, and never holds a block that
// was freed. A free takes the block out of the table and counts nothing.
//
// Any thread, at any time after oh_track_start; before it, and after the recorder was switched off,
// everything answers "not recorded". errno is never changed, nor is the floating-point environment.
//
// The host's stack: what one recorded allocation takes of it, the hook and the real call included,
// on x86-64 with gcc 12, release preset. `OFFHEAP_EXACT=1 LD_PRELOAD=liboffheap.so
// tests/unit/hooks_subject stack_use` in the build tree prints it; test_hooks holds it to 2.5 KiB,
// the worst case to 6 KiB.
//   1,880 bytes   all of the stack was seen before
//   3,824 bytes   code that is seen for the first time, of a module that was not
//   5,368 bytes   at worst: a signal's frame, or one that is found by an expression
// and 3,072 more with OFFHEAP_MAX_DEPTH over 128. Everything else takes at most 512: an allocation
// that passes, a free. A signal or coroutine stack that is allocated on must have that room. The
// first call of the process, which brings the library up, is not in these numbers.
//
// Forked children: the process that called oh_track_start records; a child (told by a page that
// the kernel wipes on fork) is switched off at its first slow path and never unwinds or writes into
// its parent's recording. A vfork child is its parent's memory and is recorded as such.

#ifndef OH_TRACK_TRACK_H
#define OH_TRACK_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/registers_x86_64.h"
#include "offheap/block.h"
#include "offheap/format.h"

enum oh_track_state { OH_TRACK_UNSET, OH_TRACK_STARTING, OH_TRACK_ON, OH_TRACK_OFF };

// One allocation between the decision and its entry.
struct oh_track_call {
    uint64_t weight; // In units of 2^-weight_shift: oh_weight_units() of its size and its mean.
    uint32_t mean;   // The number of that mean in the header.
};

// What a free took out, for a realloc that fails.
struct oh_track_block {
    bool recorded;
    struct oh_block facts;
};

enum oh_track_state oh_track_state(void);
// True for the one caller that is to do the start; the others forward meanwhile.
bool oh_track_claim_start(void);

// The tables are there: begin. phase_of tells the phase of this moment (enum oh_stack_phase).
void oh_track_start(const struct oh_format_header *header, uint8_t (*phase_of)(void));
void oh_track_stop(enum oh_format_off_reason reason, int error);
bool oh_track_is_child(void); // A forked child of the process that was started.

// Of a thread that is `busy`: whether the hook that set it will never go on, because a signal handler
// has jumped out of it; a call inside of it would lie further in on the stack than `here`. What it was
// doing is lost.
bool oh_track_was_left(uint64_t here);

// Decides on an allocation of `size` bytes that did not pass the countdown. True: make the real
// call, then oh_track_end. False: only make the real call. *call lies in the hook's frame.
bool oh_track_begin(struct oh_track_call *call, uint64_t size);
// `block` is what the real call returned, NULL when it failed; `caller` is where the host called
// the hook, NULL when the hook cannot tell (capture/unwind.h).
void oh_track_end(const struct oh_track_call *call, const struct oh_caller *caller,
                  const void *block, uint64_t size);

// Takes the block out, if it is recorded. Before the real free.
void oh_track_free(const void *block);
// The same before a real realloc; oh_track_restore puts back what it took when that failed.
void oh_track_take(const void *block, struct oh_track_block *taken);
void oh_track_restore(const void *block, const struct oh_track_block *taken);

#endif
