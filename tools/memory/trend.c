// SPDX-License-Identifier: Apache-2.0
//
// The test of Mann and Kendall.

#include "memory/trend.h"

#include <math.h>

// Share of a rise that the second half of the time must have, half of the time after all.
static const double late_share = 0.2;

// More rising pairs than chance makes in one of a hundred series. A single step in the middle of
// eleven values reaches 2.26.
static bool is_significant(const double *values, size_t count)
{
    double rising = 0; // Pairs that rise, less those that fall.
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            rising += values[k] > values[i] ? 1 : values[k] < values[i] ? -1 : 0;
        }
    }
    const double n = (double)count;
    const double all_pairs = n * (n - 1) / 2;
    const double deviation = sqrt(n * (n - 1) * (2 * n + 5) / 18);
    return count <= 5 ? rising >= all_pairs : (rising - 1) / deviation > 2.3;
}

// Whether the second half of the values has kept what the first half gained, and added little.
static bool is_level(const double *values, size_t count)
{
    const double grown = values[count - 1] - values[0];
    double least = values[count - 1];
    double most = values[count - 1];
    for (size_t i = count / 2; i < count; i++) {
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    return values[count - 1] - values[count / 2] < late_share * grown &&
           most - least < late_share * grown;
}

enum oh_trend oh_trend_find(const double *values, size_t count, double noise)
{
    if (count < OH_TREND_LEAST || !(values[count - 1] - values[0] > noise)) {
        return OH_TREND_NONE;
    }
    if (is_level(values, count)) {
        return OH_TREND_LEVELS;
    }
    return is_significant(values, count) ? OH_TREND_RISES : OH_TREND_NONE;
}

bool oh_trend_is_line(const double *values, size_t count, double deviations)
{
    const double n = (double)count;
    const double middle = (n - 1) / 2;
    double mean = 0;
    double slope = 0;
    double squares = 0;
    double deviation = 0;
    for (size_t i = 0; i < count; i++) {
        mean += values[i] / n;
    }
    for (size_t i = 0; i < count; i++) {
        const double at = (double)i - middle;
        slope += at * (values[i] - mean);
        squares += at * at;
    }
    slope /= squares;
    for (size_t i = 0; i < count; i++) {
        const double off = values[i] - mean - slope * ((double)i - middle);
        deviation += off * off / n;
    }
    return slope * (n - 1) > deviations * sqrt(deviation);
}
