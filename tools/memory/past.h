// SPDX-License-Identifier: Apache-2.0
//
// What a recording says of a process that is gone: what it held by kind, and from its time line what
// grew before it ended. Residency by parts (look) is gone with the process; what remains is C live and
// C's maps to the byte (or estimated), and the resident size as a whole. So the growth of all else,
// Go's heap or what the allocator keeps, is known only as what C does not account for.
//
// Judged as several looks at a process are (verdict, trend): at up to ten steps at equal distances, and
// at what the recording holds at its end. First from the end of the first tenth of the process's life
// on, at most six hours; when nothing grew so, from past_s on, the moment that its stacks are compared
// with: what began to grow late is seen there.

#ifndef OH_MEMORY_PAST_H
#define OH_MEMORY_PAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "memory/finding.h"
#include "profile/timeline.h"
#include "reader/reader.h"

struct oh_past_held {
    double bytes;
    double objects;
};

struct oh_past {
    const struct oh_timeline *timeline;
    uint64_t start_realtime_ns;
    uint32_t pid;
    uint32_t past_s;   // Which its stacks remember; 0: the recording is too young.
    uint32_t end_s;    // The second that it shows.
    uint32_t judged_s; // Growth was judged from this second on.
    bool is_exact;
    bool is_go;
    struct oh_past_held held[OH_KIND_COUNT];
    double before[OH_KIND_COUNT]; // Bytes at past_s, as the stacks remember them.
    double error;      // One standard error of what C live grew by since the first second,
    double past_error; // and since past_s.
};

// The first second of the longer judgement.
uint32_t oh_past_first_second(const struct oh_timeline *timeline);

// Reads what was held at the end. timeline must outlive past.
int oh_past_read(struct oh_reader *reader, const struct oh_timeline *timeline, uint32_t past_s,
                 uint32_t end_s, struct oh_past *past, struct oh_err *err);

void oh_past_judge(struct oh_past *past, struct oh_verdict *verdict);

#endif
