// SPDX-License-Identifier: Apache-2.0
//
// Chooses and orders the samples that a report shows.

#include "report/select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

bool oh_report_filter_matches(const struct oh_report_filter *filter,
                              const struct oh_profile *profile,
                              const struct oh_profile_sample *sample)
{
    return label_matches(profile, sample->labels[OH_LABEL_PHASE], filter->query->phase) &&
           label_matches(profile, sample->labels[OH_LABEL_KIND], filter->query->kind) &&
           (!filter->has_focus || focus_matches(filter, profile, sample));
}

void oh_report_sum_add(struct oh_report_sum *sum, const struct oh_profile_sample *sample)
{
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        sum->values[i] += (double)sample->values[i];
        sum->variances[i] += sample->variances[i];
    }
    sum->samples++;
}

struct oh_report_order {
    const struct oh_profile *profile;
    enum oh_profile_value sort;
};

// Equal values stand in the profile's own order, so that a report is always the same.
static int compare_rows(const void *a, const void *b, void *arg)
{
    const struct oh_report_order *const order = arg;
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    const int64_t value_x = order->profile->samples[x].values[order->sort];
    const int64_t value_y = order->profile->samples[y].values[order->sort];
    if (value_x != value_y) {
        return value_x < value_y ? 1 : -1;
    }
    return (x > y) - (x < y);
}

int oh_report_select(const struct oh_profile *profile, const struct oh_report_query *query,
                     struct oh_report_rows *rows, struct oh_err *err)
{
    struct oh_report_filter filter;
    int result = oh_report_filter_init(&filter, query, err);
    if (result < 0) {
        return result;
    }
    struct oh_report_rows made = {.samples =
                                      calloc((size_t)profile->sample_count + 1, sizeof(uint32_t))};
    if (made.samples == NULL) {
        oh_report_filter_fini(&filter);
        return oh_err_no_memory(err);
    }
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        const struct oh_profile_sample *const sample = &profile->samples[i];
        oh_report_sum_add(&made.total, sample);
        if (!oh_report_filter_matches(&filter, profile, sample)) {
            continue;
        }
        oh_report_sum_add(&made.shown, sample);
        if (sample->values[query->sort] != 0) {
            made.samples[made.count++] = i;
        } else {
            made.empty_count++;
        }
    }
    oh_report_filter_fini(&filter);
    struct oh_report_order order = {.profile = profile, .sort = query->sort};
    qsort_r(made.samples, made.count, sizeof made.samples[0], compare_rows, &order);
    *rows = made;
    return 0;
}

void oh_report_rows_fini(struct oh_report_rows *rows)
{
    free(rows->samples);
    *rows = (struct oh_report_rows){0};
}
