// SPDX-License-Identifier: Apache-2.0
//
// The difference of two profiles: what grew, by stack. Stacks are matched by the names of their
// frames and their labels, not by addresses, so that two runs or two builds can be compared.

#ifndef OH_REPORT_DIFF_H
#define OH_REPORT_DIFF_H

#include <stdio.h>

#include "base/err.h"
#include "report/render.h"
#include "report/select.h"

int oh_report_render_diff(FILE *out, const struct oh_report_input *older,
                          const struct oh_report_input *newer, const struct oh_report_query *query,
                          struct oh_err *err);

// The same without what is said of the two profiles.
int oh_report_render_change(FILE *out, const struct oh_report_input *older,
                            const struct oh_report_input *newer,
                            const struct oh_report_query *query, struct oh_err *err);

// The stacks that changed, as the entries of the above, up to the query's limit. Not 0 from fn ends it
// and is returned.
struct oh_report_change {
    double older;
    double newer;
    double error; // Of the difference.
    const struct oh_profile *profile;
    const struct oh_profile_sample *sample; // Its frames and labels.
};

typedef int oh_report_change_fn(void *arg, const struct oh_report_change *change);
int oh_report_each_change(const struct oh_profile *older, const struct oh_profile *newer,
                          const struct oh_report_query *query, oh_report_change_fn *fn, void *arg,
                          struct oh_err *err);

#endif
