// SPDX-License-Identifier: Apache-2.0
//
// Stacks that rise.

#include "memory/risers.h"

#include <math.h>

#include "memory/finding.h"
#include "memory/trend.h"

enum { OH_RISERS_LEAST_LOOKS = 6 };

static const double least_bytes = 64 << 10;
static const double least_share = 0.05; // Of what the stack had.
static const double errors = 3;         // Its standard error, so often.
static const double deviations = 4;     // That of its values from the line.

static void insert(struct oh_risers *risers, struct oh_riser riser)
{
    size_t at = risers->count;
    while (at > 0 && risers->list[at - 1].grown < riser.grown) {
        at--;
    }
    if (at == OH_RISERS_MAX) {
        return;
    }
    risers->count += risers->count < OH_RISERS_MAX ? 1 : 0;
    for (size_t i = risers->count - 1; i > at; i--) {
        risers->list[i] = risers->list[i - 1];
    }
    risers->list[at] = riser;
}

static void judge(const struct oh_look *looks, size_t count, uint32_t stack,
                  struct oh_risers *risers)
{
    double values[OH_VERDICT_LOOKS];
    for (size_t i = 0; i < count; i++) {
        values[i] = oh_stack_sums_get(&looks[i].stacks, stack);
    }
    const double grown = values[count - 1] - values[0];
    const double noise = fmax(least_bytes, least_share * values[0]);
    if (oh_trend_find(values, count, noise) != OH_TREND_RISES ||
        !oh_trend_is_line(values, count, deviations)) {
        return;
    }
    const double variance =
        oh_live_variance_between(&looks[0].blocks, &looks[count - 1].blocks, &stack);
    if (grown > errors * sqrt(variance)) {
        insert(risers, (struct oh_riser){stack, grown, variance});
    }
}

void oh_risers_find(const struct oh_look *looks, size_t count, struct oh_risers *risers)
{
    *risers = (struct oh_risers){0};
    if (count < OH_RISERS_LEAST_LOOKS) {
        return;
    }
    const struct oh_stack_sums *const last = &looks[count - 1].stacks;
    for (size_t i = 0; i < last->room; i++) {
        if (last->places[i].blocks != 0) {
            judge(looks, count, last->places[i].stack, risers);
        }
    }
}

bool oh_risers_has(const struct oh_risers *risers, uint32_t stack)
{
    for (size_t i = 0; i < risers->count; i++) {
        if (risers->list[i].stack == stack) {
            return true;
        }
    }
    return false;
}
