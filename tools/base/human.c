// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people write and read them.

#include "base/human.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The shift that a unit means, or -1. "", "B", "K", "KB", "KiB", ...
static int unit_shift(const char *unit)
{
    if (unit[0] == '\0' || strcasecmp(unit, "b") == 0) {
        return 0;
    }
    const char *const letters = "KMGT";
    const char *const at = strchr(letters, toupper((unsigned char)unit[0]));
    const char *const rest = unit + 1;
    if (at == NULL ||
        (rest[0] != '\0' && strcasecmp(rest, "b") != 0 && strcasecmp(rest, "ib") != 0)) {
        return -1;
    }
    return 10 * (int)(at - letters + 1);
}

int oh_human_parse_bytes(const char *text, uint64_t *bytes)
{
    if (!isdigit((unsigned char)text[0])) {
        return -EINVAL;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (errno == ERANGE) {
        return -ERANGE;
    }
    const int shift = unit_shift(end);
    if (shift < 0) {
        return -EINVAL;
    }
    if (number > UINT64_MAX >> shift) {
        return -ERANGE;
    }
    *bytes = (uint64_t)number << shift;
    return 0;
}

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
