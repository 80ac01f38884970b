// SPDX-License-Identifier: Apache-2.0
//
// The weight of a sampled allocation, from its size and the mean under which it was drawn
// (SAMPLING.md). The library and the readers of a recording must come to the same integer: nothing
// but additions, multiplications and divisions of IEEE doubles, each rounded by itself. Pure
// functions, any thread.

#ifndef OFFHEAP_WEIGHT_H
#define OFFHEAP_WEIGHT_H

#include <stdint.h>

// 1 - exp(-x) for x >= 0, relative error below 1e-12. For x < 1/2 the alternating series, else by
// halving x.
static inline double oh_weight_one_minus_exp(double x)
{
    int halved = 0;
    if (x > 60)
        return 1;
    for (; x >= 0.5; x /= 2)
        halved++;
    double sum = 1;
    for (int n = 16; n >= 2; n--)
        sum = 1 - sum * x / n;
    sum *= x;
    for (; halved > 0; halved--)
        sum *= 2 - sum;
    return sum;
}

// The objects that an allocation of `size` bytes stands for, when it was taken at a mean distance
// of `mean`.
static inline double oh_weight_objects(uint64_t size, uint64_t mean)
{
    return mean <= 1 ? 1 : 1 / oh_weight_one_minus_exp((double)size / (double)mean);
}

// The same in units of 2^-shift, as it is counted. 0 for what is never taken: nothing, at a mean
// above 1. No more than 2^62, whatever a damaged recording says.
static inline uint64_t oh_weight_units(uint64_t size, uint64_t mean, uint32_t shift)
{
    const double most = 0x1p62;
    if (mean <= 1)
        return UINT64_C(1) << shift;
    if (size == 0)
        return 0;
    double units = oh_weight_objects(size, mean) * (double)(UINT64_C(1) << shift) + 0.5;
    return (uint64_t)(units < most ? units : most);
}

#endif
