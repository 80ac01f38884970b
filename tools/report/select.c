// SPDX-License-Identifier: Apache-2.0
//
// Chooses and orders the samples that a report shows.

#include "report/select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "profile/pprof.h"

bool oh_report_parse_sort(const char *name, enum oh_profile_value *value)
{
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        if (strcmp(name, oh_pprof_value_name((enum oh_profile_value)i)) == 0) {
            *value = (enum oh_profile_value)i;
            return true;
        }
    }
    return false;
}

int oh_report_filter_init(struct oh_report_filter *filter, const struct oh_report_query *query,
                          struct oh_err *err)
{
    *filter = (struct oh_report_filter){.query = query};
    if (query->focus == NULL) {
        return 0;
    }
    const int code = regcomp(&filter->focus, query->focus, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char why[128];
        (void)regerror(code, &filter->focus, why, sizeof why);
        return oh_err_set(err, -EINVAL,
                          "--focus %s is not a regular expression: %s\ntry: a POSIX extended one, "
                          "with \\ before ( ) [ { . * + ? that mean themselves",
                          query->focus, why);
    }
    filter->has_focus = true;
    return 0;
}

void oh_report_filter_fini(struct oh_report_filter *filter)
{
    if (filter->has_focus) {
        regfree(&filter->focus);
    }
    *filter = (struct oh_report_filter){0};
}

static bool text_matches(const struct oh_report_filter *filter, const struct oh_profile *profile,
                         uint32_t string)
{
    return regexec(&filter->focus, oh_profile_text(profile, string), 0, NULL, 0) == 0;
}

static bool focus_matches(const struct oh_report_filter *filter, const struct oh_profile *profile,
                          const struct oh_profile_sample *sample)
{
    for (uint32_t i = 0; i < sample->depth; i++) {
        const struct oh_profile_location *const location =
            &profile->locations[sample->locations[i]];
        if (location->mapping != OH_PROFILE_NONE &&
            text_matches(filter, profile, profile->mappings[location->mapping].file)) {
            return true;
        }
        for (uint32_t k = 0; k < location->line_count; k++) {
            const struct oh_profile_function *const function =
                &profile->functions[location->lines[k].function];
            if (text_matches(filter, profile, function->name) ||
                text_matches(filter, profile, function->file)) {
                return true;
            }
        }
    }
    return false;
}

static bool label_matches(const struct oh_profile *profile, uint32_t label, const char *wanted)
{
    return wanted == NULL || strcmp(oh_profile_text(profile, label), wanted) == 0;
}

bool oh_report_is_left_out(const struct oh_report_query *query, const struct oh_profile *profile,
                           const struct oh_profile_sample *sample)
{
    return query->kind == NULL && label_matches(profile, sample->labels[OH_LABEL_KIND], "reserve");
}

bool oh_report_filter_matches(const struct oh_report_filter *filter,
                              const struct oh_profile *profile,
                              const struct oh_profile_sample *sample)
{
    return label_matches(profile, sample->labels[OH_LABEL_PHASE], filter->query->phase) &&
           (filter->query->kind == NULL ||
            oh_str_in_list(filter->query->kind,
                           oh_profile_text(profile, sample->labels[OH_LABEL_KIND]))) &&
           !oh_report_is_left_out(filter->query, profile, sample) &&
           (!filter->has_focus || focus_matches(filter, profile, sample));
}

// Goes through the frames of a sample, inlined ones too.
struct oh_frame_cursor {
    const struct oh_profile *profile;
    const struct oh_profile_sample *sample;
    uint32_t location;
    uint32_t line;
};

static const struct oh_profile_line *next_frame(struct oh_frame_cursor *cursor)
{
    while (cursor->location < cursor->sample->depth) {
        const struct oh_profile_location *const location =
            &cursor->profile->locations[cursor->sample->locations[cursor->location]];
        if (cursor->line < location->line_count) {
            return &location->lines[cursor->line++];
        }
        cursor->location++;
        cursor->line = 0;
    }
    return NULL;
}

static int compare_u32(uint32_t x, uint32_t y)
{
    return (x > y) - (x < y);
}

// By what is shown of a sample: labels, functions, lines. 0 when nothing of it differs.
static int compare_shown(const struct oh_profile *profile, uint32_t x, uint32_t y)
{
    const struct oh_profile_sample *const a = &profile->samples[x];
    const struct oh_profile_sample *const b = &profile->samples[y];
    int order = memcmp(a->labels, b->labels, sizeof a->labels);
    struct oh_frame_cursor cursor_a = {.profile = profile, .sample = a};
    struct oh_frame_cursor cursor_b = {.profile = profile, .sample = b};
    while (order == 0) {
        const struct oh_profile_line *const line_a = next_frame(&cursor_a);
        const struct oh_profile_line *const line_b = next_frame(&cursor_b);
        if (line_a == NULL || line_b == NULL) {
            return (line_a != NULL) - (line_b != NULL);
        }
        order = compare_u32(line_a->function, line_b->function);
        if (order == 0) {
            order = compare_u32(line_a->line, line_b->line);
        }
    }
    return order;
}

static int compare_samples(const void *a, const void *b, void *arg)
{
    const uint32_t x = ((const struct oh_report_row *)a)->sample;
    const uint32_t y = ((const struct oh_report_row *)b)->sample;
    const int order = compare_shown(arg, x, y);
    return order != 0 ? order : compare_u32(x, y);
}

// Equal values stand in the profile's own order, so that a report is always the same.
static int compare_rows(const void *a, const void *b, void *arg)
{
    const enum oh_profile_value sort = *(const enum oh_profile_value *)arg;
    const struct oh_report_row *const x = a;
    const struct oh_report_row *const y = b;
    if (x->values[sort] != y->values[sort]) {
        return x->values[sort] < y->values[sort] ? 1 : -1;
    }
    return compare_u32(x->sample, y->sample);
}

static void add_residency(double sum[OH_RESIDENCY_COUNT], const double part[OH_RESIDENCY_COUNT])
{
    for (int i = 0; i < OH_RESIDENCY_COUNT; i++) {
        sum[i] += part[i];
    }
}

// One row per sample, then one per stack that looks different. Returns how many are left.
static size_t fill_rows(const struct oh_profile *profile, struct oh_report_row *rows)
{
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        rows[i] = (struct oh_report_row){.sample = i};
        for (int v = 0; v < OH_VALUE_COUNT; v++) {
            rows[i].values[v] = (double)profile->samples[i].values[v];
            rows[i].variances[v] = profile->samples[i].variances[v];
        }
        memcpy(rows[i].residency, profile->samples[i].residency, sizeof rows[i].residency);
    }
    qsort_r(rows, profile->sample_count, sizeof rows[0], compare_samples,
            (void *)(uintptr_t)profile);
    size_t count = 0;
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        struct oh_report_row *const last = count > 0 ? &rows[count - 1] : NULL;
        if (last == NULL || compare_shown(profile, last->sample, rows[i].sample) != 0) {
            rows[count++] = rows[i];
            continue;
        }
        for (int v = 0; v < OH_VALUE_COUNT; v++) {
            last->values[v] += rows[i].values[v];
            last->variances[v] += rows[i].variances[v];
        }
        add_residency(last->residency, rows[i].residency);
    }
    return count;
}

static void add_to_sum(struct oh_report_sum *sum, const struct oh_report_row *row)
{
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        sum->values[i] += row->values[i];
        sum->variances[i] += row->variances[i];
    }
    add_residency(sum->residency, row->residency);
    sum->rows++;
}

int oh_report_select(const struct oh_profile *profile, const struct oh_report_query *query,
                     struct oh_report_rows *rows, struct oh_err *err)
{
    struct oh_report_filter filter;
    int result = oh_report_filter_init(&filter, query, err);
    if (result < 0) {
        return result;
    }
    struct oh_report_rows made = {
        .rows = calloc((size_t)profile->sample_count + 1, sizeof made.rows[0])};
    if (made.rows == NULL) {
        oh_report_filter_fini(&filter);
        return oh_err_no_memory(err);
    }
    const size_t all = fill_rows(profile, made.rows);
    for (size_t i = 0; i < all; i++) {
        const struct oh_report_row row = made.rows[i];
        const bool left_out = oh_report_is_left_out(query, profile, &profile->samples[row.sample]);
        add_to_sum(left_out ? &made.reserved : &made.total, &row);
        if (!oh_report_filter_matches(&filter, profile, &profile->samples[row.sample])) {
            continue;
        }
        add_to_sum(&made.shown, &row);
        if (row.values[query->sort] != 0) {
            made.rows[made.count++] = row;
        } else {
            made.empty_count++;
        }
    }
    oh_report_filter_fini(&filter);
    enum oh_profile_value sort = query->sort;
    qsort_r(made.rows, made.count, sizeof made.rows[0], compare_rows, &sort);
    *rows = made;
    return 0;
}

void oh_report_rows_fini(struct oh_report_rows *rows)
{
    free(rows->rows);
    *rows = (struct oh_report_rows){0};
}
