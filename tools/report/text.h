// SPDX-License-Identifier: Apache-2.0
//
// The pieces of a report's text: values with their error, labels, stacks. Written to a stream that
// the command gives.

#ifndef OH_REPORT_TEXT_H
#define OH_REPORT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "profile/model.h"

enum { OH_REPORT_CELL_BYTES = 40 };

// The ending of a counted noun: "" for one, else "s".
const char *oh_report_plural(size_t count);

// A value as people read it: bytes or a count, by what it is.
void oh_report_format_value(enum oh_profile_value which, double value,
                            char out[OH_REPORT_CELL_BYTES]);

// "±12%", the relative standard error; "" when the value is exact, "±>999%" past that.
void oh_report_format_error(double value, double variance, char out[OH_REPORT_CELL_BYTES]);

// "init example.com/db malloc", the labels but for the heap's name.
void oh_report_print_labels(FILE *out, const struct oh_profile *profile,
                            const struct oh_profile_sample *sample);

// One line per frame, leaf first.
void oh_report_print_stack(FILE *out, const struct oh_profile *profile,
                           const struct oh_profile_sample *sample);

// Pads by what a terminal shows: "±" is one column and two bytes.
void oh_report_print_cell(FILE *out, const char *text, int width);

#endif
