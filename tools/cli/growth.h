// SPDX-License-Identifier: Apache-2.0
//
// Which stacks grew, from one recording: its time line, and what is in use (at the end, of a
// process that is gone) against what its stacks remember of an earlier moment.

#ifndef OH_CLI_GROWTH_H
#define OH_CLI_GROWTH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "profile/timeline.h"
#include "reader/reader.h"
#include "report/select.h"

struct oh_growth_query {
    struct oh_report_query rows;
    uint32_t span_s; // How far back; 0: as far as is sensible.
    const char *const *dirs;
    size_t dir_count;
};

// what: a RECORDING or a PID.
int oh_growth_print(FILE *out, const char *what, const struct oh_growth_query *query,
                    struct oh_err *err);

// The second of the recording that the reader shows.
uint32_t oh_growth_end_second(const struct oh_reader *reader, const struct oh_timeline *timeline);

// The same without a head, of what is open; it says so when there is nothing to compare.
int oh_growth_print_changes(FILE *out, struct oh_reader *reader,
                            const struct oh_growth_query *query, struct oh_err *err);

#endif
