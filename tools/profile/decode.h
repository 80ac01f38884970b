// SPDX-License-Identifier: Apache-2.0
//
// Reads a pprof heap profile (ours, Go's, any with the four sample types of a heap) into the model
// of preload/profile/model.h. The bytes are not trusted.
//
// Standard errors are not in the file: they are computed from the values. A sample whose objects
// of mean size n were taken with probability 1-exp(-n/R), R the profile's period, each stands for
// w = 1/(1-exp(-n/R)) objects; the variance of their estimated number is objects*(w-1), that of
// their bytes n*n times as much. With a period of 1 everything is exact, and what is mapped (label
// `kind`) always is. Where the mean changed while the process ran, a sample has means of its own
// for R, as labels (struct oh_pprof_mean).

#ifndef OH_PROFILE_DECODE_H
#define OH_PROFILE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "profile/arena.h"
#include "profile/model.h"

// name is for the messages. The data may be gzipped or not, and is not needed afterwards.
int oh_decode_profile(const char *name, const void *data, size_t len, struct oh_arena *arena,
                      struct oh_profile *profile, struct oh_err *err);

// The same from a file.
int oh_decode_file(const char *path, struct oh_arena *arena, struct oh_profile *profile,
                   struct oh_err *err);

// The variance of an estimated number of objects that hold `space` bytes, sampled at mean
// intervals of `period` bytes; times the square of their mean size it is that of the bytes.
double oh_decode_object_variance(double objects, double space, double period);

#endif
