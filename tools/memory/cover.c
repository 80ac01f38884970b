// SPDX-License-Identifier: Apache-2.0
//
// Ranges by owner.

#include "memory/cover.h"

#include <errno.h>
#include <stdlib.h>

enum { OH_CLAIMS_FIRST = 64 };

int oh_claims_add(struct oh_claims *claims, uint64_t start, uint64_t end, enum oh_memory_part part)
{
    if (start >= end) {
        return 0;
    }
    if (claims->count == claims->room) {
        const size_t room = claims->room == 0 ? OH_CLAIMS_FIRST : claims->room * 2;
        struct oh_claim *const larger = realloc(claims->list, room * sizeof larger[0]);
        if (larger == NULL) {
            return -ENOMEM;
        }
        claims->list = larger;
        claims->room = room;
    }
    claims->list[claims->count++] = (struct oh_claim){start, end, part};
    return 0;
}

void oh_claims_fini(struct oh_claims *claims)
{
    free(claims->list);
    *claims = (struct oh_claims){0};
}

static int compare_starts(const void *a, const void *b)
{
    const struct oh_claim *const x = a;
    const struct oh_claim *const y = b;
    return (x->start > y->start) - (x->start < y->start);
}

// Adds the pieces of one claim that lie outside of what is owned. *at is the first owned range that
// can matter, and moves on with the claims.
static int add_outside(const struct oh_claims *owned, size_t *at, struct oh_claim claim,
                       struct oh_claims *added)
{
    while (*at < owned->count && owned->list[*at].end <= claim.start) {
        (*at)++;
    }
    int result = 0;
    for (size_t i = *at; result == 0 && i < owned->count && owned->list[i].start < claim.end; i++) {
        result = oh_claims_add(added, claim.start, owned->list[i].start, claim.part);
        claim.start = owned->list[i].end > claim.start ? owned->list[i].end : claim.start;
    }
    return result == 0 ? oh_claims_add(added, claim.start, claim.end, claim.part) : result;
}

static int merge_sorted(const struct oh_claims *a, const struct oh_claims *b,
                        struct oh_claims *merged)
{
    size_t i = 0;
    size_t k = 0;
    int result = 0;
    while (result == 0 && (i < a->count || k < b->count)) {
        const bool from_a = k == b->count || (i < a->count && a->list[i].start < b->list[k].start);
        const struct oh_claim *const next = from_a ? &a->list[i++] : &b->list[k++];
        result = oh_claims_add(merged, next->start, next->end, next->part);
    }
    return result;
}

int oh_cover_merge(struct oh_cover *cover, struct oh_claims *claims)
{
    struct oh_claims added = {0};
    struct oh_claims merged = {0};
    int result = 0;
    if (claims->count > 0) {
        qsort(claims->list, claims->count, sizeof claims->list[0], compare_starts);
    }
    size_t at = 0;
    uint64_t taken = 0; // End of the claims before this one.
    for (size_t i = 0; i < claims->count && result == 0; i++) {
        struct oh_claim claim = claims->list[i];
        claim.start = claim.start > taken ? claim.start : taken;
        if (claim.start < claim.end) {
            taken = claim.end;
            result = add_outside(&cover->owned, &at, claim, &added);
        }
    }
    if (result == 0) {
        result = merge_sorted(&cover->owned, &added, &merged);
    }
    oh_claims_fini(&added);
    if (result < 0) {
        oh_claims_fini(&merged);
        return result;
    }
    oh_claims_fini(&cover->owned);
    cover->owned = merged;
    claims->count = 0;
    return 0;
}

void oh_cover_fini(struct oh_cover *cover)
{
    oh_claims_fini(&cover->owned);
}

// The first owned range that ends after the address.
static size_t find_after(const struct oh_claims *owned, uint64_t address)
{
    size_t low = 0;
    size_t high = owned->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (owned->list[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int oh_cover_each(const struct oh_cover *cover, uint64_t start, uint64_t end, oh_cover_fn *fn,
                  void *arg)
{
    const struct oh_claims *const owned = &cover->owned;
    int result = 0;
    for (size_t i = find_after(owned, start); result == 0 && start < end; i++) {
        const bool has_next = i < owned->count && owned->list[i].start < end;
        const uint64_t gap_end = has_next ? owned->list[i].start : end;
        if (gap_end > start) {
            const struct oh_claim gap = {start, gap_end, OH_PART_UNCLAIMED};
            result = fn(arg, &gap);
            start = gap_end;
        }
        if (has_next && result == 0) {
            struct oh_claim piece = owned->list[i];
            piece.start = start;
            piece.end = piece.end < end ? piece.end : end;
            result = fn(arg, &piece);
            start = piece.end;
        }
    }
    return result;
}

enum oh_memory_part oh_cover_part(const struct oh_cover *cover, uint64_t address)
{
    const size_t at = find_after(&cover->owned, address);
    const bool is_owned = at < cover->owned.count && cover->owned.list[at].start <= address;
    return is_owned ? cover->owned.list[at].part : OH_PART_UNCLAIMED;
}

static int compare_part(void *arg, const struct oh_claim *piece)
{
    return piece->part == *(const enum oh_memory_part *)arg ? 0 : 1;
}

bool oh_cover_is_one(const struct oh_cover *cover, uint64_t start, uint64_t end)
{
    enum oh_memory_part part = oh_cover_part(cover, start);
    return oh_cover_each(cover, start, end, compare_part, &part) == 0;
}
