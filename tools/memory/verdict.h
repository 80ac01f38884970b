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

#include <stddef.h>

#include "memory/finding.h"
#include "memory/look.h"
#include "process/gostats.h"

// looks: from the first to the last, count >= 1.
void oh_verdict_find(const struct oh_look *looks, size_t count, struct oh_verdict *verdict);

// A Go heap that grows holds garbage, too, until it is collected: says what the collector's goal did
// meanwhile, or (NULL) how to ask.
void oh_verdict_explain_go(struct oh_verdict *verdict, const struct oh_gostats *first,
                           const struct oh_gostats *last);

#endif
