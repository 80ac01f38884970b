// SPDX-License-Identifier: Apache-2.0
//
// The time line of a recording as text: what the process held at moments that lie further apart the
// longer ago they are, with the gaps in which nothing was recorded; and between which two of them
// growth is to be judged.

#ifndef OH_REPORT_TIMELINE_H
#define OH_REPORT_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "profile/timeline.h"

// The second to compare with, one that the stacks remember (offheap/step.h): the one nearest to
// span_s seconds before the newest step, or, when span_s is 0, the oldest that leaves out the first
// tenth of the process's life, which is its start. False: the recording is too young.
bool oh_report_choose_past(const struct oh_timeline *timeline, uint32_t span_s, uint32_t *past_s);

// start_ns: CLOCK_REALTIME when the recording began; end_s: the second that it shows.
void oh_report_render_timeline(FILE *out, const struct oh_timeline *timeline, uint64_t start_ns,
                               uint32_t end_s);

// "2026-05-01 03:00:12", in the local time zone.
enum { OH_REPORT_CLOCK_BYTES = 32 };
void oh_report_format_clock(uint64_t realtime_ns, char out[OH_REPORT_CLOCK_BYTES]);

#endif
