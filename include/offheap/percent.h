// SPDX-License-Identifier: Apache-2.0
//
// A share as a user writes it, "1%" or "0.25": per cent, with or without the sign. The command and
// the library must understand it alike. Pure functions, any thread.

#ifndef OFFHEAP_PERCENT_H
#define OFFHEAP_PERCENT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OH_PERCENT_PPM = 10000,       // Millionths in one per cent.
    OH_PERCENT_LEAST_PPM = 100,   // Of a budget: 0.01 %,
    OH_PERCENT_MOST_PPM = 500000, // and 50 %.
};

static inline bool oh_percent_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// False when `text` is not a number of at most 100 with at most four digits behind its point
// (a millionth is the smallest difference); *ppm is then untouched.
static inline bool oh_percent_parse(const char *text, uint32_t *ppm)
{
    uint32_t value = 0;
    uint32_t scale = OH_PERCENT_PPM;
    const char *at = text;
    if (!oh_percent_is_digit(*at))
        return false;
    for (; oh_percent_is_digit(*at) && value <= 100; at++)
        value = value * 10 + (uint32_t)(*at - '0');
    if (value > 100)
        return false;
    value *= OH_PERCENT_PPM;
    if (*at == '.' && oh_percent_is_digit(at[1])) {
        for (at++; oh_percent_is_digit(*at) && scale > 1; at++) {
            scale /= 10;
            value += (uint32_t)(*at - '0') * scale;
        }
    }
    at += *at == '%';
    if (*at != '\0' || value > 100 * OH_PERCENT_PPM)
        return false;
    *ppm = value;
    return true;
}

#endif
