// SPDX-License-Identifier: Apache-2.0
//
// What a verdict is made of: findings, each a sentence with the figures that carry it. Who judges is
// verdict (of several looks at a process) and past (of a recording's time line).

#ifndef OH_MEMORY_FINDING_H
#define OH_MEMORY_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "memory/parts.h"
#include "memory/risers.h"

enum oh_finding_kind {
    OH_FINDING_RETAINED_GROWS, // What the allocator holds without a live block.
    OH_FINDING_C_LIVE,         // Grows.
    OH_FINDING_GO,             // Grows.
    OH_FINDING_MAPS,           // Grow.
    OH_FINDING_OTHER,          // Another part grows, or (part COUNT) all of them together.
    OH_FINDING_RETAINED,       // Held by the allocator without a live block; no growth.
    OH_FINDING_LEVELS,         // A part rose, and does so no more.
    OH_FINDING_BURST,          // More at the end than at any time before.
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
    struct oh_risers risers; // The stacks that do, when C live as a whole does not.
};

// What is no growth: the larger of some bytes and a share of the part.
struct oh_noise {
    double bytes;
    double share;
};

double oh_noise_of(const struct oh_noise *noise, double first);

// A finding without its text; NULL when there are too many. The functions below do nothing with
// that.
struct oh_finding *oh_finding_add(struct oh_verdict *verdict, enum oh_finding_kind kind,
                                  enum oh_memory_part part, double bytes, double error);

__attribute__((format(printf, 2, 3))) void oh_finding_say(struct oh_finding *finding,
                                                          const char *fmt, ...);

// "growing: WHAT, +1 MiB ±1 KiB in 30 s (...)", from the finding's figures.
void oh_finding_say_growth(struct oh_finding *finding, const char *what, double seconds);

// What grows comes first, the largest before the others.
void oh_verdict_sort(struct oh_verdict *verdict);
// What was found so far moves behind the finding that was added last.
void oh_verdict_bring_to_front(struct oh_verdict *verdict);
bool oh_verdict_is_growing(const struct oh_verdict *verdict);

// The key in JSON: "growing_c_live", "retained", ...
const char *oh_finding_key(enum oh_finding_kind kind);

#endif
