// SPDX-License-Identifier: Apache-2.0
//
// Directories of a test's own, removed with all that is in them.

#ifndef OH_SUPPORT_SCRATCH_H
#define OH_SUPPORT_SCRATCH_H

#include <stddef.h>

#include "support/child.h"

enum { OH_SCRATCH_BYTES = 256 };

// Makes a directory below `parent` ("/tmp" when NULL) and writes its path; ends the process when
// that cannot be done.
void oh_scratch_make(char path[OH_SCRATCH_BYTES], const char *parent);
void oh_scratch_remove(const char *path);

// Runs fn(path of a new directory) as oh_child_must_pass does, and removes the directory.
void oh_scratch_run(oh_child_fn *fn);

// The number of entries; the path of the last one in *found (OH_SCRATCH_BYTES), if there is one.
int oh_scratch_list(const char *path, char *found);

#endif
