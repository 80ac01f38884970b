// SPDX-License-Identifier: Apache-2.0
//
// What a profile says of itself, in its comments: whose it is, how it was measured, and everything
// that is missing from it or could not be named. Used by the writer. Host-safe.

#ifndef OH_PROFILE_REMARKS_H
#define OH_PROFILE_REMARKS_H

#include "profile/model.h"
#include "profile/symbols.h"
#include "profile/view.h"

// Adds one comment for each fact that is worth one; the view's stacks were iterated before. Returns
// 0 or -ENOMEM.
int oh_remarks_add(const struct oh_view *view, const struct oh_symbols *symbols,
                   struct oh_profile *profile);

#endif
