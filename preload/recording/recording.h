// SPDX-License-Identifier: Apache-2.0
//
// The recording's file in this process: choosing its place, making and mapping it, reserving space
// as tables grow, and the texts that stand in it. What the tables hold is tables/*; what the bytes
// mean is offheap/format.h.
//
// Threads: oh_recording_create runs once, before any other function here. Everything else may be
// called from any thread at any time.
//
// States of a section (its `state` word): UNRESERVED -> READY, or UNRESERVED -> FAILED. Any thread
// may bring a section forward; fallocate is idempotent, so several at once do no harm, and READY is
// stored with release after the space is there. oh_recording_ready reads it with acquire. A writer
// that dies before the store leaves UNRESERVED with space behind it: readers ignore the section.
// Progress: no loop waits for another thread. A store into the map may wait for the kernel, when
// the file lies on a disk: the kernel protects a page that it writes back, and the next store to it
// is a page fault that may have to wait while dirty memory is over its limit
// (preload/PERFORMANCE.md).

#ifndef OH_RECORDING_RECORDING_H
#define OH_RECORDING_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/process.h"
#include "offheap/format.h"

// Makes the file and maps it. 0, or a negative errno with *reason set; nothing is left behind then.
int oh_recording_create(const struct oh_config *config, const struct oh_process_facts *process,
                        enum oh_format_off_reason *reason);

// The header; NULL when there is no recording.
struct oh_format_header *oh_recording_header(void);
// First byte of the mapping and the number of bytes that are reserved from there on; NULL if none.
const void *oh_recording_base(size_t *size);
const char *oh_recording_path(void);

// The section (id, level), or NULL when the layout has no such level.
struct oh_format_section *oh_recording_section(enum oh_format_section_id id, uint32_t level);
void *oh_recording_at(uint64_t offset);
bool oh_recording_ready(const struct oh_format_section *section);
// Reserves the section's space: 0 when it is READY (also by another thread), -ENOSPC when it never
// will be, another error when it is not now (it is tried again by later calls).
int oh_recording_reserve(struct oh_format_section *section);
// Reserves the next sections, 8 MiB of them, before the process confines itself: afterwards nothing
// is reserved any more (base/sandbox), and what has no room is dropped and counted.
void oh_recording_reserve_ahead(void);

// Takes `bytes` from a section with a cursor, the next after those taken before: their file offset,
// or 0 when the section is full or not ready. Who always takes multiples of n gets multiples of n.
uint64_t oh_recording_take(struct oh_format_section *section, uint64_t bytes);

// Copies a text into section STRINGS: an empty text when that is full (then counted).
struct oh_format_text oh_recording_add_text(const char *bytes, size_t length);
// Adds a sentence that the reader shows; silently left out beyond OH_FORMAT_NOTES.
void oh_recording_add_note(const char *note);

void oh_recording_count(enum oh_format_counter counter);
uint64_t oh_recording_now_ns(void); // Since the recording began.
void oh_recording_set_state(enum oh_format_state state, enum oh_format_off_reason reason);

#endif
