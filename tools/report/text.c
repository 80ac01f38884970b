// SPDX-License-Identifier: Apache-2.0
//
// The pieces of a report's text.

#include "report/text.h"

#include <math.h>

#include "base/human.h"

enum {
    OH_REPORT_INDENT = 8,
    OH_REPORT_NAME_WIDTH = 56, // Longer names push their file to the right.
};

const char *oh_report_plural(size_t count)
{
    return count == 1 ? "" : "s";
}

void oh_report_format_value(enum oh_profile_value which, double value,
                            char out[OH_REPORT_CELL_BYTES])
{
    if (which == OH_VALUE_ALLOC_SPACE || which == OH_VALUE_INUSE_SPACE) {
        oh_human_format_bytes(value, out);
    } else {
        oh_human_format_count(value, out);
    }
}

void oh_report_format_error(double value, double variance, char out[OH_REPORT_CELL_BYTES])
{
    out[0] = '\0';
    if (!(variance > 0) || value == 0) {
        return;
    }
    const double percent = 100 * sqrt(variance) / fabs(value);
    if (percent > 999) {
        (void)snprintf(out, OH_REPORT_CELL_BYTES, "±>999%%");
    } else {
        (void)snprintf(out, OH_REPORT_CELL_BYTES, "±%.*f%%", percent < 9.95 ? 1 : 0, percent);
    }
}

void oh_report_print_labels(FILE *out, const struct oh_profile *profile,
                            const struct oh_profile_sample *sample)
{
    static const enum oh_profile_label shown[] = {OH_LABEL_PHASE, OH_LABEL_INIT_PACKAGE,
                                                  OH_LABEL_KIND};
    const char *gap = "";
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        const char *const text = oh_profile_text(profile, sample->labels[shown[i]]);
        if (text[0] != '\0') {
            (void)fprintf(out, "%s%s", gap, text);
            gap = " ";
        }
    }
}

static void print_frame(FILE *out, const struct oh_profile *profile,
                        const struct oh_profile_location *location, uint32_t i)
{
    const struct oh_profile_line *const line = &location->lines[i];
    const struct oh_profile_function *const function = &profile->functions[line->function];
    const char *const file = oh_profile_text(profile, function->file);
    const bool is_inlined = i + 1 < location->line_count;
    char name[OH_REPORT_NAME_WIDTH * 8];
    (void)snprintf(name, sizeof name, "%s%s", oh_profile_text(profile, function->name),
                   is_inlined ? " (inlined)" : "");
    if (file[0] == '\0') {
        (void)fprintf(out, "%*s%s\n", OH_REPORT_INDENT, "", name);
    } else if (line->line == 0) {
        (void)fprintf(out, "%*s%-*s %s\n", OH_REPORT_INDENT, "", OH_REPORT_NAME_WIDTH, name, file);
    } else {
        (void)fprintf(out, "%*s%-*s %s:%u\n", OH_REPORT_INDENT, "", OH_REPORT_NAME_WIDTH, name,
                      file, line->line);
    }
}

void oh_report_print_stack(FILE *out, const struct oh_profile *profile,
                           const struct oh_profile_sample *sample)
{
    for (uint32_t i = 0; i < sample->depth; i++) {
        const struct oh_profile_location *const location =
            &profile->locations[sample->locations[i]];
        for (uint32_t k = 0; k < location->line_count; k++) {
            print_frame(out, profile, location, k);
        }
    }
    if (sample->depth == 0) {
        (void)fprintf(out, "%*s(no stack)\n", OH_REPORT_INDENT, "");
    }
}

void oh_report_print_cell(FILE *out, const char *text, int width)
{
    int columns = 0;
    for (const char *at = text; *at != '\0'; at++) {
        columns += ((unsigned char)*at & 0xc0) != 0x80 ? 1 : 0;
    }
    (void)fprintf(out, "%*s%s", columns < width ? width - columns : 0, "", text);
}
