// SPDX-License-Identifier: Apache-2.0
//
// The time line of a recording.

#include "report/timeline.h"

#include <time.h>

#include "base/human.h"
#include "offheap/step.h"
#include "profile/ranges.h"
#include "report/text.h"

enum {
    OH_LINE_BYTES_WIDTH = 12,
    OH_LINE_AGE_WIDTH = 10,
    OH_LINE_START_PART = 10, // The first tenth of a life is its start.
    OH_LINE_GAPS = 5,        // That are told.
};

static const uint64_t ns_per_s = UINT64_C(1000000000);

static uint32_t second_of(const struct oh_format_step *step)
{
    return (uint32_t)(step->time_ns / ns_per_s);
}

static uint32_t newest_second(const struct oh_timeline *timeline)
{
    return second_of(&timeline->steps[timeline->count - 1]);
}

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

bool oh_report_choose_past(const struct oh_timeline *timeline, uint32_t span_s, uint32_t *past_s)
{
    bool found = false;
    if (timeline->count == 0) {
        return false;
    }
    const uint32_t newest = newest_second(timeline);
    const int64_t wanted = (int64_t)newest - span_s;
    for (uint32_t rung = 1; rung < OH_FORMAT_STEP_RUNGS; rung++) {
        const int64_t second = oh_step_second(rung, newest);
        if (second < 1) {
            break;
        }
        // From rung to rung further back.
        const bool better = span_s == 0 ? second >= newest / OH_LINE_START_PART
                                        : distance(second, wanted) < distance(*past_s, wanted);
        if (!found || better) {
            *past_s = (uint32_t)second;
        }
        found = true;
    }
    return found;
}

void oh_report_format_clock(uint64_t realtime_ns, char out[OH_REPORT_CLOCK_BYTES])
{
    const time_t seconds = (time_t)(realtime_ns / ns_per_s);
    struct tm local;
    if (localtime_r(&seconds, &local) == NULL ||
        strftime(out, OH_REPORT_CLOCK_BYTES, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        (void)snprintf(out, OH_REPORT_CLOCK_BYTES, "?");
    }
}

static void print_bytes(FILE *out, uint64_t bytes)
{
    char text[OH_HUMAN_BYTES] = "-";
    if (bytes != OH_FORMAT_STEP_ABSENT) {
        oh_human_format_bytes((double)bytes, text);
    }
    (void)fprintf(out, "%*s", OH_LINE_BYTES_WIDTH, text);
}

// Columns only for kinds of which there is something at some time.
static bool has_kind(const struct oh_timeline *timeline, int kind)
{
    for (uint32_t i = 0; i < timeline->count; i++) {
        const uint64_t bytes = timeline->steps[i].inuse_bytes[kind];
        if (bytes != 0 && bytes != OH_FORMAT_STEP_ABSENT) {
            return true;
        }
    }
    return kind == OH_KIND_MALLOC;
}

static void print_step(FILE *out, const struct oh_timeline *timeline,
                       const struct oh_format_step *step, uint64_t start_ns, uint32_t end_s)
{
    char clock[OH_REPORT_CLOCK_BYTES];
    char age[OH_HUMAN_BYTES];
    const uint32_t second = second_of(step);
    oh_report_format_clock(start_ns + step->time_ns, clock);
    oh_human_format_age(end_s > second ? end_s - second : 0, age);
    (void)fprintf(out, "  %s%*s", clock, OH_LINE_AGE_WIDTH, age);
    for (int kind = OH_KIND_MALLOC; kind < OH_KIND_COUNT; kind++) {
        if (has_kind(timeline, kind)) {
            print_bytes(out, step->inuse_bytes[kind]);
        }
    }
    print_bytes(out, step->resident_bytes);
    print_bytes(out, step->cgroup_bytes);
    (void)fputc('\n', out);
}

static void print_heads(FILE *out, const struct oh_timeline *timeline)
{
    (void)fprintf(out, "\nTime line, in use by kind:\n  %-19s%*s", "when", OH_LINE_AGE_WIDTH,
                  "before");
    for (int kind = OH_KIND_MALLOC; kind < OH_KIND_COUNT; kind++) {
        if (has_kind(timeline, kind)) {
            (void)fprintf(out, "%*s", OH_LINE_BYTES_WIDTH, oh_kind_name((uint8_t)kind));
        }
    }
    (void)fprintf(out, "%*s%*s\n", OH_LINE_BYTES_WIDTH, "RSS", OH_LINE_BYTES_WIDTH, "cgroup");
}

static void print_gaps(FILE *out, const struct oh_timeline *timeline, uint64_t start_ns,
                       uint32_t end_s)
{
    size_t count = 0;
    for (uint32_t i = timeline->count; i-- > 0;) {
        const uint32_t gap = oh_timeline_gap(timeline, i, end_s);
        if (gap == 0 || ++count > OH_LINE_GAPS) {
            continue;
        }
        char clock[OH_REPORT_CLOCK_BYTES];
        char age[OH_HUMAN_BYTES];
        oh_report_format_clock(start_ns + timeline->steps[i].time_ns, clock);
        oh_human_format_age(gap, age);
        (void)fprintf(out, "  gap: nothing was recorded for %s from %s on\n", age, clock);
    }
    if (count > OH_LINE_GAPS) {
        (void)fprintf(out, "  and %zu older gap%s\n", count - OH_LINE_GAPS,
                      oh_report_plural(count - OH_LINE_GAPS));
    }
}

void oh_report_render_timeline(FILE *out, const struct oh_timeline *timeline, uint64_t start_ns,
                               uint32_t end_s)
{
    if (timeline->count == 0) {
        return;
    }
    print_heads(out, timeline);
    const uint32_t newest = newest_second(timeline);
    const struct oh_format_step *last = &timeline->steps[0];
    print_step(out, timeline, last, start_ns, end_s);
    for (uint32_t rung = OH_FORMAT_STEP_RUNGS; rung-- > 0;) {
        const struct oh_format_step *const step =
            oh_timeline_at(timeline, oh_step_second(rung, newest));
        if (step != NULL && step->time_ns > last->time_ns) {
            print_step(out, timeline, step, start_ns, end_s);
            last = step;
        }
    }
    print_gaps(out, timeline, start_ns, end_s);
    if (timeline->torn > 0) {
        (void)fprintf(out, "  %u step%s left out: not whole\n", timeline->torn,
                      oh_report_plural(timeline->torn));
    }
}
