// SPDX-License-Identifier: Apache-2.0
//
// What a thread remembers of the last stack that it captured, so that the next capture walks only
// where the stack has changed since. A loop that allocates from one place walks nothing; of a
// recursion the outer part is kept.
//
// Why this is sound. A step of the quick walk follows from the frame's address, stack pointer and
// frame pointer, from the row of the address (the same throughout a generation), and from the words
// that it reads: the return address, and some saved frame pointers. The memory holds all of these.
// When a walk comes to a frame that equals a remembered one in all three, and every word that was
// read from there to the root has the same value now, the rest of the stack is the same, whatever
// happened in between (returns, longjmp, alloca, exceptions). A frame pointer that no frame further
// out uses to find its frame is neither compared nor read.
//
// Only C code on the thread's own stack (readable.h) is remembered so: nothing of it can be
// unmapped while the thread runs on it. (A coroutine's stack directly below that of a thread
// without a guard page passes for a part of it, and can be unmapped; so what is remembered is read
// only when the walk has come to it.) When C was called by Go, that is the C code up to the first
// frame in Go's text. The outer part from there on, other C code that called Go included, is walked
// each time (through), from what that frame is known to be, and nothing is assumed about it: the
// goroutine may have changed, and its stack may have moved. When the same addresses come out as
// before, it is the same stack again. A whole stack has at most OH_RECALL_FRAMES frames.
//
// Where it is kept: a fixed number of slots for the process, each a thread's as long as that lives.
//   states       owner 0: free; else the kernel's number of the thread whose slot it is, and above
//                it how many threads have had the slot
//   writers      oh_recall_mine claims a free slot, or one whose owner has ended, by one
//                compare-and-swap of the owner. All else in a slot is its owner's alone
//   publication  the release of the owner in oh_recall_end pairs with the compare-and-swap's
//                acquire; what a dead owner left is dropped by the next one
//   progress     each slot is looked at once; a thread without a slot walks every stack
//   dead writer  leaves a slot that the next thread takes
//
// Threads: each with its own; with the re-entry guard held, not in a forked child. errno is kept.

#ifndef OH_CAPTURE_RECALL_H
#define OH_CAPTURE_RECALL_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/readable.h"
#include "capture/registers_x86_64.h"

enum { OH_RECALL_FRAMES = 128 };

struct oh_recall;

// What the caller knows of a stack. All 0 when the stack is not the one before.
struct oh_recall_note {
    uint64_t epoch;
    uint32_t stack;
    uint32_t attributes;
};

// A whole stack.
struct oh_recalled {
    unsigned depth;
    const uint64_t *pcs; // Its addresses, leaf first, until oh_recall_end.
    uint64_t frames;     // oh_hash_frames() of them.
    struct oh_recall_note *note;
};

// Lets this process remember. Once, before the first capture; where captures are rare it is of no
// use.
void oh_recall_enable(void);

// The calling thread's memory, or NULL when it has none: its first captures, and when no slot is
// free.
struct oh_recall *oh_recall_mine(void);

// Captures the stack that begins at `caller`, if it can be passed quickly to its end and has at
// most `max` frames. False: it has to be walked in another way.
bool oh_recall_walk(struct oh_recall *recall, const struct oh_caller *caller,
                    struct oh_readable *stack, unsigned max, struct oh_recalled *recalled);

// What the calling thread remembers may be half of something: its last capture was left.
void oh_recall_forget(void);

// The caller is through with what oh_recall_walk told it. After each that was true.
void oh_recall_end(struct oh_recall *recall);

#endif
