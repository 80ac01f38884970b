// SPDX-License-Identifier: Apache-2.0
//
// Words for a file that is not a usable recording.

#ifndef OH_READER_EXPLAIN_H
#define OH_READER_EXPLAIN_H

#include <stddef.h>

#include "base/err.h"
#include "profile/view.h"

// The file's first bytes tell which other kind of file it is. Returns -EINVAL.
int oh_explain_fault(const struct oh_view_fault *fault, const char *name, const void *bytes,
                     size_t size, struct oh_err *err);

// Why open() of a file refused: code is the negative errno, which is returned.
int oh_explain_open(int code, const char *path, struct oh_err *err);

#endif
