// SPDX-License-Identifier: Apache-2.0
//
// The logarithm that sampling needs, without libm, which may not be called in the host. Its
// counterpart, the weight of an allocation, is offheap/weight.h. Pure functions, any thread.

#ifndef OH_BASE_LOGARITHM_H
#define OH_BASE_LOGARITHM_H

// -ln(u) for 0 < u <= 1; relative error below 1e-12.
double oh_logarithm_minus(double u);

// The mean distance of sampling points at which an allocation of `size` bytes weighs `weight`
// objects: oh_weight_objects the other way. 0 for a weight of 1.
double oh_logarithm_mean(double size, double weight);

#endif
