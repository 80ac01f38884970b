// SPDX-License-Identifier: Apache-2.0
//
// Where a recording goes and what it is called: the directory and the file name
// `<exe>.<pid>.<start>.offheap`. `start` is the moment the recording began, in milliseconds since
// 1970, so that pid 1 of a restarted container does not meet its own old file.

#ifndef OH_RECORDING_PLACE_H
#define OH_RECORDING_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

enum { OH_PLACE_PATH_BYTES = 4096 };

// The directory: OFFHEAP_DIR when given; else the first of TMPDIR, /var/tmp and /tmp that can be
// written and lies on a disk, else the first that can be written. NULL when there is none.
const char *oh_place_dir(const struct oh_config *config);

// Writes dir/name into path (OH_PLACE_PATH_BYTES): 0, or -ENAMETOOLONG. Of `exe` the last
// component is taken, bytes outside of [A-Za-z0-9._-] become '_'.
int oh_place_path(char *path, const char *dir, const char *exe, uint64_t pid, uint64_t start_ms);

#endif
