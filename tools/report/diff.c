// SPDX-License-Identifier: Apache-2.0
//
// The difference of two profiles.

#include "report/diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/pprof.h"
#include "report/text.h"

enum { OH_DIFF_WIDTH = 12, OH_DIFF_ERROR_WIDTH = 12 };

enum oh_diff_side { OH_DIFF_OLD, OH_DIFF_NEW, OH_DIFF_SIDES };

// One stack by its names, with the sums of both sides.
struct oh_diff_entry {
    char *key;
    const struct oh_profile *profile; // Where `sample` is: the newer one when it has the stack.
    const struct oh_profile_sample *sample;
    double values[OH_DIFF_SIDES];
    double variance; // Of the difference.
};

struct oh_diff {
    struct oh_diff_entry *entries;
    size_t count;
    double totals[OH_DIFF_SIDES];
    double variance;
    double grown;
    double shrunk;
    size_t grown_count;
    size_t shrunk_count;
};

// The names of the labels and the frames in one text. NULL without memory.
static char *make_key(const struct oh_profile *profile, const struct oh_profile_sample *sample)
{
    char *key = NULL;
    size_t len = 0;
    FILE *const out = open_memstream(&key, &len);
    if (out == NULL) {
        return NULL;
    }
    for (int i = 0; i < OH_LABEL_COUNT; i++) {
        (void)fprintf(out, "%s\x1f", oh_profile_text(profile, sample->labels[i]));
    }
    for (uint32_t i = 0; i < sample->depth; i++) {
        const struct oh_profile_location *const location =
            &profile->locations[sample->locations[i]];
        for (uint32_t k = 0; k < location->line_count; k++) {
            const uint32_t name = profile->functions[location->lines[k].function].name;
            (void)fprintf(out, "%s\n", oh_profile_text(profile, name));
        }
    }
    const bool complete = ferror(out) == 0;
    if (fclose(out) != 0 || !complete) {
        free(key);
        return NULL;
    }
    return key;
}

static int add_side(struct oh_diff *diff, const struct oh_profile *profile, enum oh_diff_side side,
                    const struct oh_report_filter *filter)
{
    const enum oh_profile_value sort = filter->query->sort;
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        const struct oh_profile_sample *const sample = &profile->samples[i];
        if (!oh_report_filter_matches(filter, profile, sample)) {
            continue;
        }
        struct oh_diff_entry *const entry = &diff->entries[diff->count];
        *entry = (struct oh_diff_entry){.key = make_key(profile, sample),
                                        .profile = profile,
                                        .sample = sample,
                                        .variance = sample->variances[sort]};
        if (entry->key == NULL) {
            return -ENOMEM;
        }
        entry->values[side] = (double)sample->values[sort];
        diff->count++;
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct oh_diff_entry *)a)->key, ((const struct oh_diff_entry *)b)->key);
}

static double growth(const struct oh_diff_entry *entry)
{
    return entry->values[OH_DIFF_NEW] - entry->values[OH_DIFF_OLD];
}

// What grew most first, what shrank most last; equal ones by their names.
static int compare_growth(const void *a, const void *b)
{
    const double x = growth(a);
    const double y = growth(b);
    return x != y ? (x < y ? 1 : -1) : compare_keys(a, b);
}

// Entries of one key become one.
static void merge_keys(struct oh_diff *diff)
{
    if (diff->count == 0) {
        return;
    }
    qsort(diff->entries, diff->count, sizeof diff->entries[0], compare_keys);
    size_t last = 0;
    for (size_t i = 1; i < diff->count; i++) {
        struct oh_diff_entry *const into = &diff->entries[last];
        struct oh_diff_entry *const from = &diff->entries[i];
        if (strcmp(into->key, from->key) != 0) {
            diff->entries[++last] = *from;
            continue;
        }
        for (int side = 0; side < OH_DIFF_SIDES; side++) {
            into->values[side] += from->values[side];
        }
        into->variance += from->variance;
        free(from->key);
        // The newer profile's frames are the ones to show.
        if (from->values[OH_DIFF_NEW] != 0) {
            into->profile = from->profile;
            into->sample = from->sample;
        }
    }
    diff->count = last + 1;
}

static void sum_up(struct oh_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        const struct oh_diff_entry *const entry = &diff->entries[i];
        const double change = growth(entry);
        diff->totals[OH_DIFF_OLD] += entry->values[OH_DIFF_OLD];
        diff->totals[OH_DIFF_NEW] += entry->values[OH_DIFF_NEW];
        diff->variance += entry->variance;
        diff->grown += change > 0 ? change : 0;
        diff->grown_count += change > 0 ? 1 : 0;
        diff->shrunk += change < 0 ? -change : 0;
        diff->shrunk_count += change < 0 ? 1 : 0;
    }
}

static int make_diff(struct oh_diff *diff, const struct oh_profile *older,
                     const struct oh_profile *newer, const struct oh_report_filter *filter)
{
    const size_t most = (size_t)older->sample_count + newer->sample_count;
    diff->entries = calloc(most + 1, sizeof diff->entries[0]);
    if (diff->entries == NULL) {
        return -ENOMEM;
    }
    int result = add_side(diff, older, OH_DIFF_OLD, filter);
    if (result == 0) {
        result = add_side(diff, newer, OH_DIFF_NEW, filter);
    }
    if (result == 0) {
        merge_keys(diff);
        sum_up(diff);
        if (diff->count > 0) {
            qsort(diff->entries, diff->count, sizeof diff->entries[0], compare_growth);
        }
    }
    return result;
}

static void diff_fini(struct oh_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        free(diff->entries[i].key);
    }
    free(diff->entries);
    *diff = (struct oh_diff){0};
}

static void print_cells(FILE *out, enum oh_profile_value sort, const double values[OH_DIFF_SIDES],
                        double variance)
{
    char text[OH_REPORT_CELL_BYTES];
    for (int side = 0; side < OH_DIFF_SIDES; side++) {
        oh_report_format_value(sort, values[side], text);
        oh_report_print_cell(out, text, OH_DIFF_WIDTH);
    }
    const double change = values[OH_DIFF_NEW] - values[OH_DIFF_OLD];
    char signed_text[OH_REPORT_CELL_BYTES + 1];
    oh_report_format_value(sort, change, text);
    (void)snprintf(signed_text, sizeof signed_text, "%s%s", change > 0 ? "+" : "", text);
    oh_report_print_cell(out, signed_text, OH_DIFF_WIDTH);
    // Of a difference the absolute error is what compares with it.
    char error[OH_REPORT_CELL_BYTES + 2] = "";
    if (variance > 0) {
        oh_report_format_value(sort, sqrt(variance), text);
        (void)snprintf(error, sizeof error, "±%s", text);
    }
    oh_report_print_cell(out, error, OH_DIFF_ERROR_WIDTH);
}

static void print_entries(FILE *out, const struct oh_diff *diff,
                          const struct oh_report_query *query)
{
    (void)fprintf(out, "\n%4s%*s%*s%*s%*s  %s\n", "#", OH_DIFF_WIDTH, "old", OH_DIFF_WIDTH, "new",
                  OH_DIFF_WIDTH, "change", OH_DIFF_ERROR_WIDTH, "error", "labels");
    size_t shown = 0;
    size_t left = 0;
    for (size_t i = 0; i < diff->count; i++) {
        const struct oh_diff_entry *const entry = &diff->entries[i];
        if (growth(entry) == 0) {
            continue;
        }
        if (query->limit != 0 && shown == query->limit) {
            left++;
            continue;
        }
        (void)fprintf(out, "%4zu", ++shown);
        print_cells(out, query->sort, entry->values, entry->variance);
        (void)fputs("  ", out);
        oh_report_print_labels(out, entry->profile, entry->sample);
        (void)fputc('\n', out);
        oh_report_print_stack(out, entry->profile, entry->sample);
        (void)fputc('\n', out);
    }
    if (left > 0) {
        (void)fprintf(out, "%zu more stack%s changed (--limit 0 shows all)\n", left,
                      oh_report_plural(left));
    }
}

static void print_summary(FILE *out, const struct oh_diff *diff,
                          const struct oh_report_query *query)
{
    char grown[OH_REPORT_CELL_BYTES];
    char shrunk[OH_REPORT_CELL_BYTES];
    oh_report_format_value(query->sort, diff->grown, grown);
    oh_report_format_value(query->sort, diff->shrunk, shrunk);
    (void)fprintf(out, "\nDifference of %s:\n  all ", oh_pprof_value_name(query->sort));
    print_cells(out, query->sort, diff->totals, diff->variance);
    (void)fprintf(out, "\n  %zu stack%s grew by %s, %zu shrank by %s, %zu did not change\n",
                  diff->grown_count, oh_report_plural(diff->grown_count), grown, diff->shrunk_count,
                  shrunk, diff->count - diff->grown_count - diff->shrunk_count);
}

static int find_diff(const struct oh_profile *older, const struct oh_profile *newer,
                     const struct oh_report_query *query, struct oh_diff *diff, struct oh_err *err)
{
    struct oh_report_filter filter;
    *diff = (struct oh_diff){0};
    int result = oh_report_filter_init(&filter, query, err);
    if (result < 0) {
        return result;
    }
    result = make_diff(diff, older, newer, &filter);
    oh_report_filter_fini(&filter);
    if (result < 0) {
        diff_fini(diff);
        return oh_err_no_memory(err);
    }
    return 0;
}

int oh_report_render_change(FILE *out, const struct oh_report_input *older,
                            const struct oh_report_input *newer,
                            const struct oh_report_query *query, struct oh_err *err)
{
    struct oh_diff diff;
    const int result = find_diff(older->profile, newer->profile, query, &diff, err);
    if (result < 0) {
        return result;
    }
    print_summary(out, &diff, query);
    if (diff.grown_count + diff.shrunk_count > 0) {
        print_entries(out, &diff, query);
    } else if (diff.count == 0) {
        (void)fputs("\nNothing to show: no stack of either profile matches.\n", out);
    } else {
        (void)fputs("\nNothing to show: no stack changed.\n", out);
    }
    diff_fini(&diff);
    return 0;
}

int oh_report_each_change(const struct oh_profile *older, const struct oh_profile *newer,
                          const struct oh_report_query *query, oh_report_change_fn *fn, void *arg,
                          struct oh_err *err)
{
    struct oh_diff diff;
    int result = find_diff(older, newer, query, &diff, err);
    if (result < 0) {
        return result;
    }
    size_t shown = 0;
    for (size_t i = 0; i < diff.count && result == 0; i++) {
        const struct oh_diff_entry *const entry = &diff.entries[i];
        const struct oh_report_change change = {.older = entry->values[OH_DIFF_OLD],
                                                .newer = entry->values[OH_DIFF_NEW],
                                                .error = sqrt(fmax(0, entry->variance)),
                                                .profile = entry->profile,
                                                .sample = entry->sample};
        if (growth(entry) != 0 && (query->limit == 0 || shown++ < query->limit)) {
            result = fn(arg, &change);
        }
    }
    diff_fini(&diff);
    return result;
}

int oh_report_render_diff(FILE *out, const struct oh_report_input *older,
                          const struct oh_report_input *newer, const struct oh_report_query *query,
                          struct oh_err *err)
{
    struct oh_report_filter filter; // Refused before anything is printed.
    const int result = oh_report_filter_init(&filter, query, err);
    if (result < 0) {
        return result;
    }
    oh_report_filter_fini(&filter);
    (void)fputs("Old: ", out);
    oh_report_render_header(out, older);
    (void)fputs("New: ", out);
    oh_report_render_header(out, newer);
    return oh_report_render_change(out, older, newer, query, err);
}
