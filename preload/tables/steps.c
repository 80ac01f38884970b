// SPDX-License-Identifier: Apache-2.0
#include "tables/steps.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "offheap/step.h"
#include "recording/recording.h"

static const uint64_t ns_per_s = UINT64_C(1000000000);

static struct {
    struct oh_format_section *section;
    uint64_t period[OH_FORMAT_STEP_RUNGS]; // Of each ring's last step, from 1 on; 0: it has none.
} OH_OWN_LINES steps;

void oh_steps_init(void)
{
    steps.section = oh_recording_section(OH_SECTION_STEPS, 0);
}

bool oh_steps_ready(void)
{
    return steps.section != NULL && oh_recording_reserve(steps.section) == 0;
}

static void store_step(struct oh_format_step *to, const struct oh_format_step *step)
{
    enum { WORDS = sizeof *step / sizeof(uint64_t) };
    const uint64_t *from = (const uint64_t *)step;
    for (uint32_t i = WORDS; i-- > 0;)
        oh_store_relaxed((uint64_t *)to + i, from[i]);
}

void oh_steps_add(struct oh_format_step *step)
{
    uint32_t second = (uint32_t)(step->time_ns / ns_per_s);
    struct oh_format_step *rings = oh_recording_at(steps.section->offset);
    step->check = oh_step_check(step);
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++) {
        uint64_t period = (uint64_t)(second >> (2 * rung)) + 1;
        if (steps.period[rung] == period)
            continue;
        steps.period[rung] = period;
        store_step(&rings[rung * OH_FORMAT_STEP_PLACES + oh_step_place(rung, second)], step);
    }
}

void oh_steps_bring_up(struct oh_format_stack *stack, uint32_t second, uint64_t bytes)
{
    struct oh_step_row row = {
        .second = (uint32_t)(oh_load_relaxed(&stack->step_word) >> OH_STEP_WORD_SHIFT)};
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++)
        row.values[rung] = oh_load32_relaxed(&stack->steps[rung]);
    if (!oh_step_bring_up(&row, second, oh_step_pack(bytes)))
        return;
    // The oldest first: when the process is killed on the way, a value stands twice, and none is
    // lost.
    for (uint32_t rung = OH_FORMAT_STEP_RUNGS; rung-- > 0;)
        oh_store32_relaxed(&stack->steps[rung], row.values[rung]);
    oh_store_release(&stack->step_word, oh_step_word(&row));
}
