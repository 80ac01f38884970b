// SPDX-License-Identifier: Apache-2.0
//
// The quick way up a stack of C code: only the return address, the stack pointer and the frame
// pointer are followed, by rows that fit into one word of a table. Nearly every frame of nearly
// every program is of that kind. What is not (a row that does not fit or is not in the table, Go
// code, a signal's frame, a frame that makes no sense) stops the walk, and its caller walks from
// the start by the full rows (rows, unwind_c), with all registers: a value that was not followed
// here is never used.
//
// A short row says:
//   plain       the canonical frame address (CFA) is the stack pointer or the frame pointer plus
//               so many words, and where below it the caller's frame pointer was saved, if it was
//   realigned   as in gcc's functions that align their stack: the CFA is the word so many words
//               below what the frame pointer points to, and the caller's frame pointer is there
//   end         the outermost function
//
// The table: lines of 8 words, one cache line each; the address chooses the line and the word to
// look at first. One table for the process:
//   states       a word is 0 or one row: the rest of a permutation of the address (so a row is
//                never taken for another address's), the generation and the row. Each word is
//                complete in itself
//   writers      oh_quick_insert, any thread, one relaxed store. Readers: oh_quick_walk, any thread
//   publication  none needed: the word is the whole message
//   progress     8 words are looked at; when all are taken, one is replaced
//   dead writer  leaves the old or the new word
// A row is true for one generation of modules (rows.h): its number is in each row, modulo
// OH_QUICK_GENERATIONS, and the table is emptied before the numbers begin anew. A row is stored
// only while the generation in which its making began is the current one, and taken back when
// that ended meanwhile.
//
// Threads: any, with the re-entry guard held. Only a stack that is readable is read.

#ifndef OH_CAPTURE_QUICK_H
#define OH_CAPTURE_QUICK_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/frames.h"
#include "capture/readable.h"
#include "capture/registers_x86_64.h"
#include "capture/rows.h"

enum { OH_QUICK_GENERATIONS = 128 };

enum oh_quick_end {
    OH_QUICK_END,  // The stack's own end.
    OH_QUICK_FULL, // No room for the next address.
    OH_QUICK_STOP  // *at is a frame that cannot be passed this way; its address was not added.
};

// Appends the address *at and those of its callers.
enum oh_quick_end oh_quick_walk(struct oh_frames *frames, struct oh_caller *at,
                                struct oh_readable *stack);

// Makes a row known, if it fits.
void oh_quick_insert(const struct oh_row_key *key, const union oh_row *row);

// To be called before a generation begins.
void oh_quick_prepare(uint32_t generation);

#endif
