// SPDX-License-Identifier: Apache-2.0
//
// What several looks at a process say: what grows, what the allocator keeps, or that nothing grows;
// each finding with the figures that carry it. Pure: looks at nothing but what it is given.
//
// Growth is judged by at least three looks at equal distances (trend), and must be larger than the
// part's noise; C live has the statistical error of its samples as noise. A part that rose and
// then stayed levels off; one that goes up and down does not grow.

#ifndef OH_MEMORY_VERDICT_H
#define OH_MEMORY_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "memory/look.h"

enum oh_finding_kind {
    OH_FINDING_RETAINED_GROWS, // What the allocator holds without a live block.
    OH_FINDING_C_LIVE,         // Grows.
    OH_FINDING_GO,             // Grows.
    OH_FINDING_MAPS,           // Grow.
    OH_FINDING_OTHER,          // Another part grows, or (part COUNT) all of them together.
    OH_FINDING_RETAINED,       // Held by the allocator without a live block; no growth.
    OH_FINDING_LEVELS,         // A part rose, and does so no more.
    OH_FINDING_UNTOUCHED,      // More is allocated, but none of it is memory yet.
    OH_FINDING_NOT_GROWING,
    OH_FINDING_ONE_LOOK, // Nothing can be said about growth.
    OH_FINDING_KIND_COUNT
};

struct oh_finding {
    enum oh_finding_kind kind;
    enum oh_memory_part part;
    double bytes;   // Grown by, or held.
    double error;   // One standard error of it, 0: none.
    char text[600]; // One sentence or two.
};

enum { OH_FINDINGS_MAX = 16, OH_VERDICT_LOOKS = 11 };

struct oh_verdict {
    struct oh_finding findings[OH_FINDINGS_MAX]; // What grew most comes first.
    size_t count;
    bool c_live_grows;
};

// looks: from the first to the last, count >= 1.
void oh_verdict_find(const struct oh_look *looks, size_t count, struct oh_verdict *verdict);

// The key in JSON: "c_live", "retained", ...
const char *oh_finding_key(enum oh_finding_kind kind);

#endif
