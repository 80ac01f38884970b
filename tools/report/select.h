// SPDX-License-Identifier: Apache-2.0
//
// Chooses and orders the rows of a report. A row is a stack as it is shown, with its labels:
// samples whose frames differ in nothing but addresses are one row. Pure: reads a profile, keeps
// nothing of it but indices.

#ifndef OH_REPORT_SELECT_H
#define OH_REPORT_SELECT_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "profile/model.h"

struct oh_report_query {
    enum oh_profile_value sort; // Which value orders and shares.
    const char *phase;          // "init", "main", "unknown"; NULL: any.
    const char *kind;           // A list "mmap,shm"; NULL: any but "reserve".
    const char *focus;          // A POSIX extended expression; NULL: any.
    size_t limit;               // Rows shown; 0: all.
    bool is_resident;           // Shows what is resident of what is in use.
};

// Sums over rows; the variances of independent estimates add up.
struct oh_report_sum {
    double values[OH_VALUE_COUNT];
    double variances[OH_VALUE_COUNT];
    double residency[OH_RESIDENCY_COUNT];
    size_t rows;
};

struct oh_report_row {
    uint32_t sample; // One of its samples: their frames and labels look alike.
    double values[OH_VALUE_COUNT];
    double variances[OH_VALUE_COUNT];
    double residency[OH_RESIDENCY_COUNT];
};

struct oh_report_rows {
    struct oh_report_row *rows; // The largest first.
    size_t count;
    size_t empty_count;         // Rows that match, but whose sorted value is 0: not among the rows.
    struct oh_report_sum total; // Of everything in the profile, but for:
    // Reservations, which are address space and not memory: unless the query names kinds, they are
    // neither in the rows nor in the other sums.
    struct oh_report_sum reserved;
    struct oh_report_sum shown; // Of what matches the query.
};

// 0; -EINVAL: the expression of focus is wrong (told in err); -ENOMEM.
int oh_report_select(const struct oh_profile *profile, const struct oh_report_query *query,
                     struct oh_report_rows *rows, struct oh_err *err);
void oh_report_rows_fini(struct oh_report_rows *rows);

// The query's expression, compiled once for several profiles. An absent one matches everything.
struct oh_report_filter {
    const struct oh_report_query *query;
    regex_t focus;
    bool has_focus;
};
int oh_report_filter_init(struct oh_report_filter *filter, const struct oh_report_query *query,
                          struct oh_err *err);
void oh_report_filter_fini(struct oh_report_filter *filter);
bool oh_report_filter_matches(const struct oh_report_filter *filter,
                              const struct oh_profile *profile,
                              const struct oh_profile_sample *sample);

// Whether the sample is one of those reservations.
bool oh_report_is_left_out(const struct oh_report_query *query, const struct oh_profile *profile,
                           const struct oh_profile_sample *sample);

// The value called "inuse_space", ...: true and *value, or false.
bool oh_report_parse_sort(const char *name, enum oh_profile_value *value);

#endif
