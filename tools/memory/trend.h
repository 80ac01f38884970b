// SPDX-License-Identifier: Apache-2.0
//
// Whether a series of measurements at equal distances rises. Pure.
//
// A rise is one that chance seldom makes: nearly all later values lie above nearly all earlier ones
// (the test of Mann and Kendall: under no trend each pair is as likely to fall as to rise; one series
// of a hundred passes). One step up is none, waves are none. With up to five values each must lie
// above the one before.

#ifndef OH_MEMORY_TREND_H
#define OH_MEMORY_TREND_H

#include <stdbool.h>
#include <stddef.h>

enum oh_trend {
    OH_TREND_NONE,
    OH_TREND_RISES, // And in the second half of the time, too.
    OH_TREND_LEVELS // Rose in the first half, and kept that: a warm-up, or one step.
};

enum { OH_TREND_LEAST = 3 }; // Fewer values tell nothing.

// noise: a rise from the first to the last value of no more than this is none.
enum oh_trend oh_trend_find(const double *values, size_t count, double noise);

// Whether the values rise along a straight line, from which they deviate by no more than a so many'th
// part of that rise (one standard deviation).
bool oh_trend_is_line(const double *values, size_t count, double deviations);

#endif
