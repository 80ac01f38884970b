// SPDX-License-Identifier: Apache-2.0
#include "profile/timeline.h"

#include <stddef.h>

#include "base/atomic.h"
#include "offheap/step.h"

static const uint64_t ns_per_s = UINT64_C(1000000000);

enum { WORDS = sizeof(struct oh_format_step) / sizeof(uint64_t) };

static struct oh_format_step load_step(const struct oh_format_step *from)
{
    struct oh_format_step step;
    for (uint32_t i = 0; i < WORDS; i++)
        ((uint64_t *)&step)[i] = oh_load_relaxed((const uint64_t *)from + i);
    return step;
}

static bool is_empty(const struct oh_format_step *step)
{
    return step->check == 0 && step->time_ns == 0;
}

// Whether a step is whole and stands where one of its time belongs.
static bool is_sane(const struct oh_format_step *step, uint32_t rung, uint32_t place)
{
    uint64_t second = step->time_ns / ns_per_s;
    return step->check == oh_step_check(step) && step->time_ns != 0 && second <= UINT32_MAX &&
           oh_step_place(rung, (uint32_t)second) == place;
}

// Into its place in the order of times; the same step stands in several rings.
static void insert(struct oh_timeline *timeline, const struct oh_format_step *step)
{
    uint32_t low = 0, high = timeline->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (timeline->steps[middle].time_ns < step->time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < timeline->count && timeline->steps[low].time_ns == step->time_ns)
        return;
    for (uint32_t i = timeline->count; i > low; i--)
        timeline->steps[i] = timeline->steps[i - 1];
    timeline->steps[low] = *step;
    timeline->count++;
}

// The rings, or NULL.
static const struct oh_format_step *find_rings(const struct oh_view *view)
{
    uint64_t bytes = 0;
    const struct oh_format_step *rings = oh_view_section(view, OH_SECTION_STEPS, 0, &bytes);
    return bytes >= OH_TIMELINE_STEPS * sizeof *rings ? rings : NULL;
}

uint64_t oh_timeline_newest_ns(const struct oh_view *view)
{
    const struct oh_format_step *rings = find_rings(view);
    uint64_t newest_ns = 0;
    for (uint32_t place = 0; place < OH_FORMAT_STEP_PLACES && rings != NULL; place++) {
        struct oh_format_step step = load_step(&rings[place]);
        if (is_sane(&step, 0, place) && step.time_ns > newest_ns)
            newest_ns = step.time_ns;
    }
    return newest_ns;
}

void oh_timeline_read(const struct oh_view *view, struct oh_timeline *timeline)
{
    const struct oh_format_step *rings = find_rings(view);
    timeline->count = timeline->torn = 0;
    if (rings == NULL)
        return;
    for (uint32_t rung = OH_FORMAT_STEP_RUNGS; rung-- > 0;) {
        for (uint32_t place = 0; place < OH_FORMAT_STEP_PLACES; place++) {
            struct oh_format_step step = load_step(&rings[rung * OH_FORMAT_STEP_PLACES + place]);
            if (is_empty(&step))
                continue;
            if (is_sane(&step, rung, place))
                insert(timeline, &step);
            else
                timeline->torn++;
        }
    }
}

const struct oh_format_step *oh_timeline_at(const struct oh_timeline *timeline, int64_t second)
{
    const struct oh_format_step *found = NULL;
    for (uint32_t i = 0; i < timeline->count; i++) {
        if ((int64_t)(timeline->steps[i].time_ns / ns_per_s) <= second)
            found = &timeline->steps[i];
    }
    return found;
}

uint64_t oh_timeline_inuse(const struct oh_format_step *step)
{
    uint64_t sum = 0;
    for (int kind = OH_KIND_MALLOC; kind <= OH_KIND_FILE; kind++) {
        if (step->inuse_bytes[kind] == OH_FORMAT_STEP_ABSENT)
            return OH_FORMAT_STEP_ABSENT;
        sum += step->inuse_bytes[kind];
    }
    return sum;
}

uint32_t oh_timeline_gap(const struct oh_timeline *timeline, uint32_t number, uint32_t end_s)
{
    uint32_t from = (uint32_t)(timeline->steps[number].time_ns / ns_per_s);
    bool last = number + 1 == timeline->count;
    uint32_t to = last ? end_s : (uint32_t)(timeline->steps[number + 1].time_ns / ns_per_s);
    if (to <= from)
        return 0;
    // The finest ring whose places reach back to `from`: steps were lost to those that are coarser.
    uint32_t rung = 0;
    uint32_t newest = (uint32_t)(timeline->steps[timeline->count - 1].time_ns / ns_per_s);
    while (rung + 1 < OH_FORMAT_STEP_RUNGS &&
           (newest >> (2 * rung)) - (from >> (2 * rung)) >= OH_FORMAT_STEP_PLACES)
        rung++;
    // A step may take long where much is in use: one period of patience.
    uint32_t took = (uint32_t)(timeline->steps[number].took_ns / ns_per_s);
    uint32_t usual = (UINT32_C(2) << (2 * rung)) + took;
    return to - from > usual ? to - from : 0;
}
