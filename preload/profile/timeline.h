// SPDX-License-Identifier: Apache-2.0
//
// The time line of a recording (section STEPS), oldest first: what the process held at moments a
// second apart lately, four seconds before that, and so on (offheap/step.h). A step that was torn,
// or does not hold for another reason, is left out. All memory is the caller's. Host-safe, any
// thread.
//
// A process that does nothing writes no steps: where two are further apart than the clock of their
// age there was a gap, in which nothing was recorded (but blocks may have been freed).
//
// What a stack had in use at a moment: oh_view_stack's row, and oh_step_at.

#ifndef OH_PROFILE_TIMELINE_H
#define OH_PROFILE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "offheap/format.h"
#include "profile/view.h"

enum { OH_TIMELINE_STEPS = OH_FORMAT_STEP_RUNGS * OH_FORMAT_STEP_PLACES };

struct oh_timeline {
    struct oh_format_step steps[OH_TIMELINE_STEPS]; // Numbers may be OH_FORMAT_STEP_ABSENT.
    uint32_t count;
    uint32_t torn; // Places that hold something which is no step.
};

// Reads what is there; count is 0 in a recording without a time line.
void oh_timeline_read(const struct oh_view *view, struct oh_timeline *timeline);

// When the newest step was begun, since start_monotonic_ns; 0: there is none.
uint64_t oh_timeline_newest_ns(const struct oh_view *view);

// The newest step that was begun at this second of the recording or before; NULL: there is none.
const struct oh_format_step *oh_timeline_at(const struct oh_timeline *timeline, int64_t second);

// In use of the kinds that profiles show, in all; OH_FORMAT_STEP_ABSENT when one of them is.
uint64_t oh_timeline_inuse(const struct oh_format_step *step);

// The seconds between a step and the one after it (the end: `end_s`) when nothing was recorded in
// between although the clock of its age would have had a place for it; else 0.
uint32_t oh_timeline_gap(const struct oh_timeline *timeline, uint32_t number, uint32_t end_s);

#endif
