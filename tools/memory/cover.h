// SPDX-License-Identifier: Apache-2.0
//
// Who owns which addresses: disjoint ranges, each with the part of the table that it counts for.
// Claims are merged in the order of their authority; a later one gets only what no earlier one has.
// Pure: looks at no process.

#ifndef OH_MEMORY_COVER_H
#define OH_MEMORY_COVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/parts.h"

struct oh_claim {
    uint64_t start;
    uint64_t end;
    enum oh_memory_part part;
};

// A list of claims that grows, in any order. Zeroed is empty.
struct oh_claims {
    struct oh_claim *list;
    size_t count;
    size_t room;
};

// 0 or -ENOMEM. An empty range is no claim.
int oh_claims_add(struct oh_claims *claims, uint64_t start, uint64_t end, enum oh_memory_part part);
void oh_claims_fini(struct oh_claims *claims);

// What is owned so far: sorted and disjoint. Zeroed is empty.
struct oh_cover {
    struct oh_claims owned;
};

// Takes the claims over where nobody owns yet; among themselves the one that begins first wins.
// Empties the claims. 0 or -ENOMEM.
int oh_cover_merge(struct oh_cover *cover, struct oh_claims *claims);
void oh_cover_fini(struct oh_cover *cover);

// Each piece of [start, end) in the order of addresses: owned ones with their part, the gaps
// between them as OH_PART_UNCLAIMED. Not 0 from fn ends it and is returned.
typedef int oh_cover_fn(void *arg, const struct oh_claim *piece);
int oh_cover_each(const struct oh_cover *cover, uint64_t start, uint64_t end, oh_cover_fn *fn,
                  void *arg);

// The part that owns the address, OH_PART_UNCLAIMED: none.
enum oh_memory_part oh_cover_part(const struct oh_cover *cover, uint64_t address);

// Whether all of [start, end) is of one part.
bool oh_cover_is_one(const struct oh_cover *cover, uint64_t start, uint64_t end);

#endif
