// SPDX-License-Identifier: Apache-2.0
//
// Which stacks grew, from one recording.

#include "cli/growth.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/human.h"
#include "cli/input.h"
#include "profile/timeline.h"
#include "report/diff.h"
#include "report/render.h"
#include "report/timeline.h"

enum { OH_GROWTH_LEAST_S = 5 }; // A younger recording has nothing to compare.

static const uint64_t ns_per_s = UINT64_C(1000000000);

// Of a live process the clock that its steps have: the other one may have been set, and counts the
// time that the machine slept.
static uint64_t passed_ns(const struct oh_reader *reader)
{
    const struct oh_format_header *const header = reader->view.header;
    struct timespec now;
    const bool is_live = reader->pid != 0 && clock_gettime(CLOCK_MONOTONIC, &now) == 0;
    const uint64_t start = is_live ? header->start_monotonic_ns : header->start_realtime_ns;
    const uint64_t end = is_live ? (uint64_t)now.tv_sec * ns_per_s + (uint64_t)now.tv_nsec
                                 : oh_reader_time_ns(reader);
    return end > start ? end - start : 0;
}

uint32_t oh_growth_end_second(const struct oh_reader *reader, const struct oh_timeline *timeline)
{
    const uint64_t seconds = passed_ns(reader) / ns_per_s;
    const uint64_t newest =
        timeline->count > 0 ? timeline->steps[timeline->count - 1].time_ns / ns_per_s : 0;
    return (uint32_t)(seconds > newest ? seconds : newest);
}

static void print_span(FILE *out, const struct oh_reader *reader, uint32_t past_s, uint32_t end_s)
{
    char clock[OH_REPORT_CLOCK_BYTES];
    char age[OH_HUMAN_BYTES];
    oh_report_format_clock(reader->view.header->start_realtime_ns + past_s * ns_per_s, clock);
    oh_human_format_age(end_s - past_s, age);
    (void)fprintf(out, "\nOld: %s, %s before; new: %s\n", clock, age,
                  reader->pid != 0 ? "now" : "the end");
}

static int print_changes(FILE *out, struct oh_reader *reader, const struct oh_growth_query *query,
                         uint32_t past_s, struct oh_err *err)
{
    const struct oh_export_moment then = {.past_s = past_s};
    const struct oh_export_moment now = {.errors_since_s = past_s};
    struct oh_input older;
    struct oh_input newer;
    int result = oh_input_from_reader(&older, reader, query->dirs, query->dir_count, &then, err);
    if (result < 0) {
        return result;
    }
    result = oh_input_from_reader(&newer, reader, query->dirs, query->dir_count, &now, err);
    if (result == 0) {
        const struct oh_report_input from = oh_input_for_report(&older);
        const struct oh_report_input to = oh_input_for_report(&newer);
        result = oh_report_render_change(out, &from, &to, &query->rows, err);
        oh_input_close(&newer);
    }
    oh_input_close(&older);
    return result;
}

int oh_growth_print_changes(FILE *out, struct oh_reader *reader,
                            const struct oh_growth_query *query, struct oh_err *err)
{
    uint32_t past_s = 0;
    struct oh_timeline *const timeline = malloc(sizeof *timeline);
    if (timeline == NULL) {
        return oh_err_no_memory(err);
    }
    oh_timeline_read(&reader->view, timeline);
    const uint32_t end_s = oh_growth_end_second(reader, timeline);
    const bool is_comparable = oh_report_choose_past(timeline, query->span_s, &past_s);
    const bool has_steps = timeline->count != 0;
    oh_report_render_timeline(out, timeline, reader->view.header->start_realtime_ns, end_s);
    free(timeline);
    if (!is_comparable) {
        (void)fputs(has_steps || end_s < OH_GROWTH_LEAST_S
                        ? "\nNothing to compare: growth is told from the fourth second of a "
                          "recording on, if the process allocates meanwhile.\n"
                        : "\nNothing to compare: the recording has no time line. It was made with "
                          "OFFHEAP_TIMELINE=0 or by an\nolder library, or nothing was recorded "
                          "after its first second.\n",
                    out);
        return 0;
    }
    print_span(out, reader, past_s, end_s);
    return print_changes(out, reader, query, past_s, err);
}

int oh_growth_print(FILE *out, const char *what, const struct oh_growth_query *query,
                    struct oh_err *err)
{
    const struct oh_export_moment now = {0};
    struct oh_reader reader;
    struct oh_input shown;
    struct oh_report_filter filter; // Refused before anything is printed.
    int result = oh_report_filter_init(&filter, &query->rows, err);
    if (result < 0) {
        return result;
    }
    oh_report_filter_fini(&filter);
    if (oh_input_is_profile(what)) {
        return oh_err_set(err, -EINVAL,
                          "%s is a profile, which has no time line\ntry: --growth with a recording "
                          "or a PID, or --diff with two profiles",
                          what);
    }
    result = oh_reader_open(&reader, what, err);
    if (result < 0) {
        return result;
    }
    result = oh_input_from_reader(&shown, &reader, query->dirs, query->dir_count, &now, err);
    if (result == 0) {
        const struct oh_report_input input = oh_input_for_report(&shown);
        oh_report_render_header(out, &input);
        oh_input_close(&shown);
        result = oh_growth_print_changes(out, &reader, query, err);
    }
    oh_reader_close(&reader);
    return result;
}
