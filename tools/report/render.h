// SPDX-License-Identifier: Apache-2.0
//
// The report: whose memory, how it was measured, the totals, and the stacks that hold most.

#ifndef OH_REPORT_RENDER_H
#define OH_REPORT_RENDER_H

#include <stdio.h>

#include "base/err.h"
#include "base/list.h"
#include "profile/model.h"
#include "report/select.h"

struct oh_report_input {
    const char *title; // What was named on the command line.
    const struct oh_profile *profile;
    const struct oh_list *warnings; // Shown in the header; may be NULL.
};

int oh_report_render(FILE *out, const struct oh_report_input *input,
                     const struct oh_report_query *query, struct oh_err *err);

// The part above the rows that one report and a difference share.
void oh_report_render_header(FILE *out, const struct oh_report_input *input);

#endif
