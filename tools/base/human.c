// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people write and read them.

#include "base/human.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void oh_human_format_bytes(double bytes, char out[OH_HUMAN_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    const size_t last = sizeof units / sizeof units[0] - 1;
    double value = fabs(bytes);
    size_t unit = 0;
    while (value >= 1023.995 && unit < last) {
        value /= 1024;
        unit++;
    }
    int digits = 2;
    if (unit == 0 || value >= 99.95) {
        digits = 0;
    } else if (value >= 9.995) {
        digits = 1;
    }
    const bool negative = bytes < 0 && value > 0;
    (void)snprintf(out, OH_HUMAN_BYTES, "%s%.*f %s", negative ? "-" : "", digits, value,
                   units[unit]);
}

struct oh_human_size oh_human_size(double bytes)
{
    struct oh_human_size size;
    oh_human_format_bytes(bytes, size.text);
    return size;
}

void oh_human_format_count(double count, char out[OH_HUMAN_BYTES])
{
    char digits[OH_HUMAN_BYTES];
    const double limit = 1e15;
    const double value = fmin(fabs(count), limit);
    const int len = snprintf(digits, sizeof digits, "%.0f", value);
    size_t at = 0;
    if (count <= -0.5) {
        out[at++] = '-';
    }
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void oh_human_format_age(uint64_t seconds, char out[OH_HUMAN_BYTES])
{
    const uint64_t minutes = seconds / 60;
    const uint64_t hours = minutes / 60;
    const uint64_t days = hours / 24;
    if (days > 0) {
        (void)snprintf(out, OH_HUMAN_BYTES, "%" PRIu64 "d%02" PRIu64 "h", days, hours % 24);
    } else if (hours > 0) {
        (void)snprintf(out, OH_HUMAN_BYTES, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes % 60);
    } else if (minutes > 0) {
        (void)snprintf(out, OH_HUMAN_BYTES, "%" PRIu64 "m%02" PRIu64 "s", minutes, seconds % 60);
    } else {
        (void)snprintf(out, OH_HUMAN_BYTES, "%" PRIu64 "s", seconds);
    }
}
