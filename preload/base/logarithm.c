// SPDX-License-Identifier: Apache-2.0
#include "base/logarithm.h"

#include "offheap/hash.h"

static const double ln2 = 0.69314718055994530942;

// ln(m) = 2 atanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)): |s| <= 0.172, and the first
// term left out is below 1e-15.
double oh_logarithm_minus(double u)
{
    uint64_t bits = oh_bits_of_double(u);
    int exponent = (int)(bits >> 52) - 1023;
    double m = oh_double_of_bits((bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double series = 0;
    for (int n = 17; n >= 1; n -= 2)
        series = series * square + 1.0 / n;
    return -(2 * s * series + exponent * ln2);
}

// ln(1 + y): what 1 + y rounds off is put back by the ratio.
static double of_one_plus(double y)
{
    double sum = 1 + y;
    return sum == 1 ? y : oh_logarithm_minus(1 / sum) * (y / (sum - 1));
}

// 1/w = 1 - exp(-size/mean), so size/mean = -ln(1 - 1/w) = ln(1 + 1/(w - 1)).
double oh_logarithm_mean(double size, double weight)
{
    double more = weight - 1;
    return more > 0 && size > 0 ? size / of_one_plus(1 / more) : 0;
}
