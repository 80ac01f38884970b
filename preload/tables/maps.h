// SPDX-License-Identifier: Apache-2.0
//
// The mapped ranges, in the recording (sections MAPS and MAP_LOG): which call mapped each byte that
// is mapped now, with what stack. Every call of the mmap family is an event; what is mapped is a
// table of ranges with the events that came after it painted over it, in their order
// (offheap/paint.h). Whose calls they are, stacks and counters: track/mapping.
//
// Order. What goes away is noted before the system call (oh_maps_begin_unset), what comes after it.
//   So of two calls that meet at one address the event of the one that gave it away comes first,
//   and a killed process holds no range that was given back. An event of the first sort is PENDING
//   until the system has answered; when the call failed it becomes VOID, and nothing has changed.
//   Two threads that change one address at the same moment, each without knowing of the other (both
//   with MAP_FIXED, say), are recorded in one order or the other, which may not be the system's.
//
// Adding an event. A thread takes the ticket `next` (compare-and-swap), marks the ticket's place
//   WRITING, writes, and makes it DONE or PENDING. The log holds OH_FORMAT_MAP_EVENTS at most;
//   when a quarter is used, or half with many ranges, the thread that notices folds the oldest ones
//   into a new table: it takes a free table (a private word for each), writes all ranges there, and
//   makes it the one that holds by one compare-and-swap of `current`. No range is ever moved or
//   changed in a table that holds. There are four tables in a level, so several threads may fold at
//   once: one that is stopped in the middle blocks nobody, and loses when it goes on.
//
// States of an event: any idle one (UNUSED, DONE, VOID, SKIPPED of an earlier ticket) -> WRITING ->
//   DONE, or -> PENDING -> DONE or VOID. Folding stops at an event that is WRITING or PENDING, or
//   that is taken and not yet marked. When three quarters are used it does not stop: an unmarked
//   one becomes SKIPPED, and WRITING becomes ABANDONED; the writer of an abandoned event makes it
//   SKIPPED and begins anew with a later ticket, before anybody relies on it. Until then its place
//   is passed over by later tickets. PENDING becomes DONE only when the log is full and has stayed
//   so for some milliseconds: should that call fail after all, what it left alone is not known any
//   more (dropped_map_calls).
// Writers. Any thread, signal handlers included: adding holds nothing. All signals are blocked for
//   the time of a folding.
// Publication. An event's words are stored before its state, by compare-and-swap (acq_rel);
//   oh_maps_find, folding and the readers load the state with acquire. A table's words are stored
//   before `current` (acq_rel), which is loaded with acquire. Who has read a table or an event that
//   was meanwhile used anew finds another value in `current`, or, in the readers, in the table's
//   `generation`, which is all ones while a table is written, and looks again: for that the words
//   are stored with release and loaded with acquire.
// Progress. Every loop is bounded. Nobody waits for a stopped thread; a thread that finds the log
//   full begins a folding of its own and gives up the processor in turn, for 50 ms at most. Then
//   its event is counted (dropped_map_calls). No program comes near: it takes four hundred calls in
//   the time of one folding, and the system lets one thread of a process map at a time. A range
//   that no table has room for is counted (dropped_maps_full) when the neighbours of one stack were
//   joined before and that did not do.
// Dead writer. Killed anywhere: the table that holds and the events after it are whole. An event in
//   WRITING does not count, one in PENDING does: its range was being given back. A thread that dies
//   alone (in a vforked child) costs its place in the log, or its table, and no more.

#ifndef OH_TABLES_MAPS_H
#define OH_TABLES_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"
#include "offheap/paint.h"

// Once, after the recording was made and oh_stacks_init.
void oh_maps_init(void);

// False: this recording has no room for maps, and the other functions are not to be called.
bool oh_maps_ready(void);

// From now on [begin, end) is what the stack mapped, whatever was there before; a stack of 0:
// nothing. False: not recorded (counted).
bool oh_maps_set(uint64_t begin, uint64_t end, uint32_t stack, uint32_t time_s);
// The same for those parts that are reservations.
bool oh_maps_commit(uint64_t begin, uint64_t end, uint32_t stack, uint32_t time_s);

// A system call that may unmap [begin, end), before and after it.
struct oh_maps_unset {
    uint64_t ticket;
    bool noted;
};
void oh_maps_begin_unset(struct oh_maps_unset *unset, uint64_t begin, uint64_t end);
void oh_maps_end_unset(const struct oh_maps_unset *unset, bool succeeded);

// What is mapped at the address: *piece is all around it that one event or range decided, with a
// stack of 0 when nothing is mapped there. False: too much changed meanwhile to tell.
bool oh_maps_find(uint64_t address, struct oh_format_range *piece);

// How much of [begin, end) is reserved: what oh_maps_commit would change, or more when too much
// changes meanwhile to tell.
uint64_t oh_maps_reserved(uint64_t begin, uint64_t end);

// Gives all ranges to fn, in the order of their addresses; a range may come in pieces. False when
// there are more than `most`, or when too much changed meanwhile: what fn was given is then of no
// use. One caller at a time.
typedef void oh_maps_range_fn(void *arg, const struct oh_format_range *range);
bool oh_maps_each_range(oh_maps_range_fn *fn, void *arg, uint64_t most);

#endif
