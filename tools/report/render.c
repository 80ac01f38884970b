// SPDX-License-Identifier: Apache-2.0
//
// The report.

#include "report/render.h"

#include <string.h>
#include <time.h>

#include "base/human.h"
#include "profile/pprof.h"
#include "report/text.h"

enum {
    OH_REPORT_SIZE_WIDTH = 11,
    OH_REPORT_SHARE_WIDTH = 7,
    OH_REPORT_ERROR_WIDTH = 7,
    OH_REPORT_COUNT_WIDTH = 11,
    OH_REPORT_LINE_BYTES = 240,
};

static void print_when(FILE *out, int64_t time_ns)
{
    if (time_ns <= 0) {
        return;
    }
    const time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm utc;
    char text[64] = "";
    if (gmtime_r(&seconds, &utc) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    }
    (void)fprintf(out, "  as of      %s\n", text);
}

static void print_mode(FILE *out, const struct oh_profile *profile)
{
    if (profile->period <= 1) {
        (void)fputs("  measured   every recorded allocation: the numbers are exact\n", out);
        return;
    }
    char size[OH_HUMAN_BYTES];
    oh_human_format_bytes((double)profile->period, size);
    (void)fprintf(
        out,
        "  measured   one sample per %s%s on average: the numbers are estimates, ± is one "
        "standard error\n",
        size, profile->has_means ? " or less" : "");
}

void oh_report_render_header(FILE *out, const struct oh_report_input *input)
{
    const struct oh_profile *const profile = input->profile;
    (void)fprintf(out, "%s\n", input->title);
    print_when(out, profile->time_ns);
    print_mode(out, profile);
    for (uint32_t i = 0; i < profile->comment_count; i++) {
        (void)fprintf(out, "  %-10s %s\n", i == 0 ? "comments" : "",
                      oh_profile_text(profile, profile->comments[i]));
    }
    for (size_t i = 0; input->warnings != NULL && i < input->warnings->count; i++) {
        (void)fprintf(out, "  %-10s %s\n", "warning", input->warnings->texts[i]);
    }
}

static void print_total(FILE *out, const char *name, const struct oh_report_sum *sum,
                        enum oh_profile_value space, enum oh_profile_value objects)
{
    char size[OH_REPORT_CELL_BYTES];
    char count[OH_REPORT_CELL_BYTES];
    char error[OH_REPORT_CELL_BYTES];
    oh_report_format_value(space, sum->values[space], size);
    oh_report_format_value(objects, sum->values[objects], count);
    oh_report_format_error(sum->values[space], sum->variances[space], error);
    (void)fprintf(out, "  %-10s %s%s%s in %s object%s\n", name, size, error[0] != '\0' ? " " : "",
                  error, count, sum->values[objects] == 1 ? "" : "s");
}

static void print_reserved(FILE *out, const struct oh_report_sum *reserved)
{
    char size[OH_REPORT_CELL_BYTES];
    if (reserved->rows == 0) {
        return;
    }
    oh_report_format_value(OH_VALUE_INUSE_SPACE, reserved->values[OH_VALUE_INUSE_SPACE], size);
    (void)fprintf(out,
                  "  reserved   %s of address space: not memory, and not in the other numbers "
                  "(--kind reserve shows it)\n",
                  size);
}

static void print_resident_total(FILE *out, const struct oh_report_sum *sum)
{
    char resident[OH_REPORT_CELL_BYTES];
    char swapped[OH_REPORT_CELL_BYTES];
    oh_report_format_value(OH_VALUE_INUSE_SPACE, sum->residency[OH_RESIDENCY_RESIDENT], resident);
    oh_report_format_value(OH_VALUE_INUSE_SPACE, sum->residency[OH_RESIDENCY_SWAPPED], swapped);
    (void)fprintf(out, "  resident   %s of what is in use, %s swapped out\n", resident, swapped);
}

// In use by the values of a label; nothing when there are fewer of them than `least`.
static void print_parts(FILE *out, const struct oh_report_query *query,
                        const struct oh_profile *profile, enum oh_profile_label label,
                        const char *name, const char *const *values, size_t least)
{
    char line[OH_REPORT_LINE_BYTES] = "";
    size_t len = 0;
    size_t parts = 0;
    for (; *values != NULL; values++) {
        double bytes = 0;
        size_t samples = 0;
        for (uint32_t i = 0; i < profile->sample_count; i++) {
            const struct oh_profile_sample *const sample = &profile->samples[i];
            if (!oh_report_is_left_out(query, profile, sample) &&
                strcmp(oh_profile_text(profile, sample->labels[label]), *values) == 0) {
                bytes += (double)sample->values[OH_VALUE_INUSE_SPACE];
                samples++;
            }
        }
        char size[OH_HUMAN_BYTES];
        oh_human_format_bytes(bytes, size);
        if (samples > 0 && len < sizeof line) {
            len += (size_t)snprintf(line + len, sizeof line - len, "%s%s %s",
                                    parts == 0 ? "" : ", ", *values, size);
            parts++;
        }
    }
    if (parts >= least) {
        (void)fprintf(out, "  %-10s %s in use\n", name, line);
    }
}

// In the order in which a program goes through them.
static void print_labelled(FILE *out, const struct oh_report_query *query,
                           const struct oh_profile *profile)
{
    static const char *const phases[] = {"init", "main", "unknown", NULL};
    static const char *const kinds[] = {"malloc", "thread", "mmap", "reserve", "shm", "file", NULL};
    print_parts(out, query, profile, OH_LABEL_PHASE, "by phase", phases, 1);
    print_parts(out, query, profile, OH_LABEL_KIND, "by kind", kinds, 2);
}

static void print_filters(FILE *out, const struct oh_report_query *query,
                          const struct oh_report_rows *rows)
{
    if (query->phase == NULL && query->kind == NULL && query->focus == NULL) {
        return;
    }
    (void)fputs("  only      ", out);
    if (query->phase != NULL) {
        (void)fprintf(out, " --phase %s", query->phase);
    }
    if (query->kind != NULL) {
        (void)fprintf(out, " --kind %s", query->kind);
    }
    if (query->focus != NULL) {
        (void)fprintf(out, " --focus %s", query->focus);
    }
    (void)fprintf(out, ": %zu of %zu stacks\n", rows->shown.rows, rows->total.rows);
    print_total(out, " in use", &rows->shown, OH_VALUE_INUSE_SPACE, OH_VALUE_INUSE_OBJECTS);
    print_total(out, " allocated", &rows->shown, OH_VALUE_ALLOC_SPACE, OH_VALUE_ALLOC_OBJECTS);
}

static void print_share(FILE *out, double part, double whole)
{
    char text[OH_REPORT_CELL_BYTES] = "";
    if (whole != 0) {
        (void)snprintf(text, sizeof text, "%.1f%%", 100 * part / whole);
    }
    oh_report_print_cell(out, text, OH_REPORT_SHARE_WIDTH);
}

static void print_value(FILE *out, const struct oh_report_row *row, enum oh_profile_value which,
                        int width)
{
    char text[OH_REPORT_CELL_BYTES];
    oh_report_format_value(which, row->values[which], text);
    oh_report_print_cell(out, text, width);
}

static void print_bytes(FILE *out, double bytes, int width)
{
    char text[OH_REPORT_CELL_BYTES];
    oh_report_format_value(OH_VALUE_INUSE_SPACE, bytes, text);
    oh_report_print_cell(out, text, width);
}

// What of it is in use, by what its pages are.
static void print_residency(FILE *out, const struct oh_report_row *row)
{
    const double in_use = row->values[OH_VALUE_INUSE_SPACE];
    const double resident = row->residency[OH_RESIDENCY_RESIDENT];
    const double swapped = row->residency[OH_RESIDENCY_SWAPPED];
    const double untouched = in_use - resident - swapped;
    print_bytes(out, resident, OH_REPORT_SIZE_WIDTH);
    print_bytes(out, swapped, OH_REPORT_SIZE_WIDTH);
    print_bytes(out, untouched >= 1 ? untouched : 0, OH_REPORT_SIZE_WIDTH);
}

static void print_row(FILE *out, const struct oh_profile *profile, const struct oh_report_row *row,
                      const struct oh_report_query *query, double whole, double cumulative)
{
    const struct oh_profile_sample *const sample = &profile->samples[row->sample];
    const enum oh_profile_value sort = query->sort;
    char error[OH_REPORT_CELL_BYTES];
    oh_report_format_error(row->values[sort], row->variances[sort], error);
    print_value(out, row, OH_VALUE_INUSE_SPACE, OH_REPORT_SIZE_WIDTH);
    print_value(out, row, OH_VALUE_INUSE_OBJECTS, OH_REPORT_COUNT_WIDTH);
    if (query->is_resident) {
        print_residency(out, row);
    } else {
        print_value(out, row, OH_VALUE_ALLOC_SPACE, OH_REPORT_SIZE_WIDTH);
        print_value(out, row, OH_VALUE_ALLOC_OBJECTS, OH_REPORT_COUNT_WIDTH);
    }
    print_share(out, row->values[sort], whole);
    print_share(out, cumulative, whole);
    oh_report_print_cell(out, error, OH_REPORT_ERROR_WIDTH);
    (void)fputs("  ", out);
    oh_report_print_labels(out, profile, sample);
    (void)fputc('\n', out);
    oh_report_print_stack(out, profile, sample);
    (void)fputc('\n', out);
}

static void print_heads(FILE *out, const struct oh_report_query *query)
{
    (void)fprintf(out, "\n%4s%*s%*s", "#", OH_REPORT_SIZE_WIDTH, "in use", OH_REPORT_COUNT_WIDTH,
                  "objects");
    if (query->is_resident) {
        (void)fprintf(out, "%*s%*s%*s", OH_REPORT_SIZE_WIDTH, "resident", OH_REPORT_SIZE_WIDTH,
                      "swapped", OH_REPORT_SIZE_WIDTH, "untouched");
    } else {
        (void)fprintf(out, "%*s%*s", OH_REPORT_SIZE_WIDTH, "allocated", OH_REPORT_COUNT_WIDTH,
                      "objects");
    }
    (void)fprintf(out, "%*s%*s%*s  %s\n", OH_REPORT_SHARE_WIDTH, "share", OH_REPORT_SHARE_WIDTH,
                  "sum", OH_REPORT_ERROR_WIDTH, "error", "labels");
}

static void print_rows(FILE *out, const struct oh_report_input *input,
                       const struct oh_report_query *query, const struct oh_report_rows *rows)
{
    const size_t shown =
        query->limit != 0 && query->limit < rows->count ? query->limit : rows->count;
    print_heads(out, query);
    const double whole = rows->total.values[query->sort];
    double cumulative = 0;
    for (size_t i = 0; i < shown; i++) {
        cumulative += rows->rows[i].values[query->sort];
        (void)fprintf(out, "%4zu", i + 1);
        print_row(out, input->profile, &rows->rows[i], query, whole, cumulative);
    }
    if (shown < rows->count) {
        char rest[OH_REPORT_CELL_BYTES];
        oh_report_format_value(query->sort, rows->shown.values[query->sort] - cumulative, rest);
        (void)fprintf(out, "%zu more stack%s with %s (--limit 0 shows all)\n", rows->count - shown,
                      oh_report_plural(rows->count - shown), rest);
    }
    if (rows->empty_count > 0) {
        (void)fprintf(out, "%zu stack%s with no %s %s not shown (--sort alloc_space shows them)\n",
                      rows->empty_count, oh_report_plural(rows->empty_count),
                      oh_pprof_value_name(query->sort), rows->empty_count == 1 ? "is" : "are");
    }
}

// An empty report says why it is empty.
static void explain_empty(FILE *out, const struct oh_report_input *input,
                          const struct oh_report_query *query, const struct oh_report_rows *rows)
{
    (void)fputc('\n', out);
    if (rows->total.rows == 0 && input->profile->period > 1) {
        char size[OH_HUMAN_BYTES];
        oh_human_format_bytes((double)input->profile->period, size);
        (void)fprintf(out,
                      "Nothing to show: no allocation was sampled. A program that allocates much "
                      "less than %s in C\nleaves no sample; --exact or a smaller --sample sees "
                      "it. The comments above tell what was not recorded.\n",
                      size);
    } else if (rows->total.rows == 0) {
        (void)fputs("Nothing to show: no allocation was recorded. The comments above tell what was "
                    "not recorded.\n",
                    out);
    } else if (rows->shown.rows == 0) {
        (void)fprintf(out, "Nothing to show: none of the %zu stacks matches.\n", rows->total.rows);
    } else {
        (void)fprintf(out,
                      "Nothing to show: all %zu stacks have no %s, what they allocated was freed "
                      "(--sort alloc_space shows them).\n",
                      rows->shown.rows, oh_pprof_value_name(query->sort));
    }
}

int oh_report_render(FILE *out, const struct oh_report_input *input,
                     const struct oh_report_query *query, struct oh_err *err)
{
    struct oh_report_rows rows;
    const int result = oh_report_select(input->profile, query, &rows, err);
    if (result < 0) {
        return result;
    }
    oh_report_render_header(out, input);
    print_total(out, "in use", &rows.total, OH_VALUE_INUSE_SPACE, OH_VALUE_INUSE_OBJECTS);
    print_total(out, "allocated", &rows.total, OH_VALUE_ALLOC_SPACE, OH_VALUE_ALLOC_OBJECTS);
    print_reserved(out, &rows.reserved);
    if (query->is_resident) {
        print_resident_total(out, &rows.total);
    }
    print_labelled(out, query, input->profile);
    print_filters(out, query, &rows);
    (void)fprintf(out, "  sorted by  %s: share, sum and error are of it\n",
                  oh_pprof_value_name(query->sort));
    if (rows.count > 0) {
        print_rows(out, input, query, &rows);
    } else {
        explain_empty(out, input, query, &rows);
    }
    oh_report_rows_fini(&rows);
    return 0;
}
