// SPDX-License-Identifier: Apache-2.0
//
// Makes a profile small enough for servers that refuse larger ones: the samples that matter least
// (least inuse_space, then least alloc_space) become one sample `[other sites]` per set of labels.
// Totals stay as they are. One thread at a time. Host-safe.

#ifndef OH_PROFILE_FOLD_H
#define OH_PROFILE_FOLD_H

#include <stddef.h>
#include <stdint.h>

#include "profile/model.h"

// Leaves at most max_samples (at least 64 are always allowed) and at most max_raw_bytes of protobuf
// before compression (as far as fewer samples can do that); tells so in a comment. 0 or -ENOMEM.
int oh_fold_to_limits(struct oh_profile *profile, uint32_t max_samples, size_t max_raw_bytes);

#endif
